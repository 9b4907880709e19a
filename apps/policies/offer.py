"""What a team is offered of a module: its interface after the input policies and what variable sets fill in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from apps.catalog.interface import ModuleInterface, inputs_clean

SET_BY = "Set by your platform team."


@dataclass(frozen=True)
class Offer:
    """`interface` as people are asked; everything that checks or asks for their values uses it and `clean`.

    `fixed` holds decided values, which get no field; `notes` says by variable what the platform team has set. `given`
    are variables whose values reach Terraform on another way and are never asked for; `defaults` stand in for what a
    new environment leaves open.
    """

    interface: ModuleInterface
    fixed: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)

    def clean(
        self, data: Mapping[str, Any], *, kept: Collection[str] = ()
    ) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """As `inputs_clean`: the values to run with, fixed and default ones included, and messages by variable."""
        values, errors = inputs_clean(self.interface, data, fixed=self.fixed, kept={*kept, *self.given})
        left = {name: value for name, value in self.defaults.items() if name not in values and name not in errors}
        return {**left, **values}, errors

    def choosable(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What is left of stored values when those that nobody may choose any more are taken away."""
        asked = {variable.name for variable in self.interface.inputs} - self.fixed.keys()
        declared = {variable.name for variable in self.interface.variables}
        return {name: value for name, value in values.items() if name in asked or name not in declared}

    def fixed_shown(self) -> list[dict[str, Any]]:
        """Decided values as facts of a form."""
        return [
            {"label": variable.label, "value": self.fixed[variable.name], "note": self.notes.get(variable.name, SET_BY)}
            for variable in self.interface.inputs
            if variable.name in self.fixed
        ]


def offer_plain(interface: ModuleInterface) -> Offer:
    """The module as it is."""
    return Offer(interface)
