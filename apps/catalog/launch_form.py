"""The launch form of a module version, made from its interface: no module has a form of its own.

A field only turns what a browser sends into a typed value and back; whether that value is accepted is decided by
`inputs_clean`, the same function the API calls, so that both say the same about the same mistake.
"""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from django import forms
from django.forms.boundfield import BoundField

from apps.catalog.interface import ModuleInterface, inputs_clean
from apps.catalog.launch_fields import InputField, TextField, field_for

__all__ = ["LaunchForm", "inputs_clean", "launch_form_class"]


class LaunchForm(forms.Form):
    """Base of the generated forms. Pass `prefix` where the page has fields of its own beside these."""

    interface: ClassVar[ModuleInterface]
    fixed: ClassVar[dict[str, Any]] = {}
    kept: ClassVar[frozenset[str]] = frozenset()
    preset_values: ClassVar[dict[str, Any]] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        initial = kwargs.pop("initial", None)
        super().__init__(*args, **kwargs)
        self.initial = {**self._defaults(), **self._linked(initial or {})}
        self._values: dict[str, Any] = {}
        for name, value in self.initial.items():
            field = self.fields[name]
            if isinstance(field, TextField) and isinstance(value, str) and "\n" in value:
                field.show_lines()

    def _defaults(self) -> dict[str, Any]:
        """What the fields hold before anyone typed: the preset's values over the module's defaults."""
        values = {item.name: item.default for item in self.interface.inputs if item.has_default}
        return {name: value for name, value in {**values, **self.preset_values}.items() if self._may_show(name)}

    def _linked(self, initial: Mapping[str, Any]) -> dict[str, Any]:
        """Values of a link or of an existing environment: text is read as if typed, what cannot be read is ignored."""
        linked = {}
        for name, value in initial.items():
            field = self.fields.get(name)
            if not isinstance(field, InputField) or not self._may_show(name):
                continue
            # Only of the type `any` is text itself a value; it is never read as JSON.
            typed = isinstance(value, str) and value.strip() and field.variable.type.kind != "any"
            try:
                linked[name] = field.read(value) if typed else value
            except forms.ValidationError:
                continue
        return linked

    def _may_show(self, name: str) -> bool:
        field = self.fields.get(name)
        return isinstance(field, InputField) and not field.variable.sensitive

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        unreadable = [name for name in self.errors if name in self.fields]
        data = {name: value for name, value in cleaned.items() if value is not InputField.ABSENT}
        self._values, errors = inputs_clean(
            self.interface, data, fixed=self.fixed, kept=self.kept, unreadable=unreadable
        )
        for name, messages in errors.items():
            self.add_error(name if name in self.fields else None, messages)
        return cleaned

    def values(self) -> dict[str, Any]:
        """The typed, JSON-ready values of a valid form, fixed ones included.

        A variable left empty is absent (the module's default counts), or null where null is its default. A sensitive
        variable that is to keep its stored value is absent as well.
        """
        if not self.is_valid():
            raise ValueError("values() of a form that is not valid")
        return dict(self._values)

    def basic_fields(self) -> list[BoundField]:
        """The fields everyone sees."""
        return [self[name] for name, field in self.fields.items() if self._group(field) == "basic"]

    def more_fields(self) -> list[BoundField]:
        """The fields folded into "More settings"."""
        return [self[name] for name, field in self.fields.items() if self._group(field) == "more"]

    def more_fields_open(self) -> bool:
        """Whether "More settings" has to be unfolded: something in it is wrong."""
        return any(bound.errors for bound in self.more_fields())

    @staticmethod
    def _group(field: forms.Field) -> str:
        return field.variable.presentation.group if isinstance(field, InputField) else ""


def launch_form_class(
    interface: ModuleInterface,
    *,
    preset: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    kept: Collection[str] = (),
) -> type[LaunchForm]:
    """A form with one field for every input people may set.

    `preset` names the values to begin with (None: the default preset; an unknown name raises `ValueError`), `fixed`
    holds values that are decided already and get no field, `kept` names sensitive inputs with a stored value, for
    which an empty field means "as it is".
    """
    fixed = dict(fixed or {})
    chosen = interface.preset(preset)
    if preset and chosen is None:
        raise ValueError(f"{interface.slug} {interface.version} has no preset {preset!r}")
    fields: dict[str, Any] = {
        variable.name: field_for(variable, stored=variable.name in kept)
        for variable in interface.inputs
        if variable.name not in fixed
    }
    attributes = {
        "interface": interface,
        "fixed": fixed,
        "kept": frozenset(kept),
        "preset_values": dict(chosen.inputs) if chosen else {},
    }
    # A variable may be called like an attribute of the form (`data`, `files`, `values`): fields go where Django's own
    # metaclass would have put them, and never become attributes.
    form = type("LaunchForm", (LaunchForm,), attributes)
    form.base_fields = fields  # type: ignore[attr-defined]
    form.declared_fields = fields  # type: ignore[attr-defined]
    return form
