"""What a team is offered of a module: its interface after the input policies and what variable sets fill in."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from apps.catalog.interface import ModuleInterface, inputs_clean
from apps.catalog.interface.hints import hints_of
from apps.catalog.interface.model import Option, Preset, Validation, Variable
from apps.policies.rules import Rule, Rules, breaches, obeying, rule_problems, shown

SET_BY = "Set by your platform team."


@dataclass(frozen=True)
class Offer:
    """`interface` as people are asked; everything that checks or asks for their values uses it and `clean`.

    `fixed` holds decided values, which get no field; `notes` says by variable what the platform team has set. `given`
    are variables whose values reach Terraform on another way and are never asked for; `defaults` stand in for what a
    new environment leaves open. `rules` are those in force, `ignored` those that this version cannot keep.
    """

    interface: ModuleInterface
    fixed: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    defaults: dict[str, Any] = field(default_factory=dict)
    rules: Rules = field(default_factory=dict)
    ignored: dict[str, list[str]] = field(default_factory=dict)

    def clean(
        self, data: Mapping[str, Any], *, kept: Collection[str] = ()
    ) -> tuple[dict[str, Any], dict[str, list[str]]]:
        """As `inputs_clean`: the values to run with, fixed and default ones included, and messages by variable."""
        values, errors = inputs_clean(self.interface, data, fixed=self.fixed, kept={*kept, *self.given})
        for name, messages in errors.items():
            if name in data and name in self.rules and breaches(self.rules[name], data[name]):
                errors[name] = [text if SET_BY in text else f"{text} {SET_BY}" for text in messages]
        left = {name: value for name, value in self.defaults.items() if name not in values and name not in errors}
        return {**left, **values}, errors

    def choosable(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What is left of stored values when those that nobody may choose any more are taken away."""
        asked = {variable.name for variable in self.interface.inputs} - self.fixed.keys()
        declared = {variable.name for variable in self.interface.variables}
        return {name: value for name, value in values.items() if name in asked or name not in declared}

    def obeyed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a preset or a link as far as the rules let them be; the rules win."""
        return {
            name: obeying(self.rules[name], value) if name in self.rules else value
            for name, value in self.choosable(values).items()
        }

    def broken(self, values: Mapping[str, Any]) -> list[str]:
        """What an existing environment has that its next change may not have, as sentences."""
        found = []
        for variable in self.interface.inputs:
            rule = self.rules.get(variable.name, {})
            value = values.get(variable.name, variable.default)
            if "fix" in rule and value != rule["fix"]:
                found.append(f"{variable.label} is {shown(value)} now and becomes {shown(rule['fix'])}.")
            found += [f"{variable.label} is {shown(value)} now. {text}" for text in breaches(rule, value)]
        return found

    def fixed_shown(self) -> list[dict[str, Any]]:
        """Decided values as facts of a form."""
        return [
            {"label": variable.label, "value": shown(self.fixed[variable.name]), "note": self.notes[variable.name]}
            for variable in self.interface.inputs
            if variable.name in self.fixed
        ]


def offer_make(
    interface: ModuleInterface, rules: Rules, *, sets: Mapping[str, str] | None = None, existing: Collection[str] = ()
) -> Offer:
    """`sets` names the variable set that fills in a variable, by variable; for `existing` see `offer_for`."""
    sets = sets or {}
    given = frozenset(variable.name for variable in interface.variables if variable.name in sets)
    found = {name: rule_problems(interface, name, rule) for name, rule in rules.items() if name not in given}
    kept = {name: rules[name] for name, problems in found.items() if not problems}
    defaults = {n: rule["default"] for n, rule in kept.items() if "default" in rule and n not in existing}
    fixed = {n: rule[key] for n, rule in kept.items() for key in ("fix", "value") if key in rule}
    notes = {name: f"Filled in from the variable set “{sets[name]}”." for name in given}
    notes |= {name: _note(rule) for name, rule in kept.items()}
    variables = tuple(
        _given(variable) if variable.name in given else _ruled(variable, kept.get(variable.name, {}), defaults)
        for variable in interface.variables
    )
    asked = replace(interface, variables=variables)
    hidden = {variable.name for variable in variables if variable.presentation.hidden}
    return Offer(
        interface=replace(asked, presets=tuple(_preset(one, kept, fixed, hidden) for one in interface.presets)),
        fixed=fixed,
        notes=notes,
        given=given,
        defaults=defaults,
        rules=kept,
        ignored={name: problems for name, problems in found.items() if problems},
    )


def _given(variable: Variable) -> Variable:
    hidden = replace(variable.presentation, hidden=True)
    return replace(variable, presentation=hidden, has_default=True, validations=())


def _ruled(variable: Variable, rule: Rule, defaults: Mapping[str, Any]) -> Variable:
    if not rule or "fix" in rule:
        return variable
    if "hide" in rule:
        return replace(variable, presentation=replace(variable.presentation, hidden=True))
    changed = replace(variable, description=f"{variable.description} {_note(rule)}".strip())
    if "options" in rule:
        labels = {option.value: option.label for option in hints_of(variable).options}
        options = tuple(Option(value, labels.get(value, shown(value))) for value in rule["options"])
        changed = replace(changed, presentation=replace(variable.presentation, options=options))
    changed = replace(changed, validations=(*variable.validations, *_validations(variable.name, rule)))
    if variable.name in defaults:
        changed = replace(changed, has_default=True, default=defaults[variable.name])
    return changed


def _validations(name: str, rule: Rule) -> list[Validation]:
    """Bounds as rules of the module's own kind: the form's attributes and the check of values come from them."""
    own = ["attr", ["name", "var"], name]
    length = ["call", "length", [own], False]
    bounds = (
        ("minimum", ">=", own, "Choose at least {}."),
        ("maximum", "<=", own, "Choose at most {}."),
        ("longest", "<=", length, "Use at most {} characters or entries."),
    )
    return [
        _validation(name, ["binary", operator, side, ["lit", rule[key]]], words.format(shown(rule[key])))
        for key, operator, side, words in bounds
        if key in rule
    ]


def _validation(name: str, condition: Any, message: str) -> Validation:
    unset = ["binary", "==", ["attr", ["name", "var"], name], ["lit", None]]
    told = f"{message} {SET_BY}"
    return Validation(message, ["binary", "||", unset, condition], told, ["lit", told])


def _note(rule: Rule) -> str:
    told = []
    if "minimum" in rule:
        told.append(f"At least {shown(rule['minimum'])}.")
    if "maximum" in rule:
        told.append(f"At most {shown(rule['maximum'])}.")
    if "longest" in rule:
        told.append(f"At most {rule['longest']} long.")
    return " ".join([*told, SET_BY])


def _preset(preset: Preset, rules: Rules, fixed: Mapping[str, Any], hidden: Collection[str]) -> Preset:
    """A size as far as the rules let it be: what it says of a fixed value is that value."""
    inputs = {
        name: fixed[name] if name in fixed else obeying(rules.get(name, {}), value)
        for name, value in preset.inputs.items()
        if name not in hidden
    }
    return replace(preset, inputs=inputs)
