"""The table of a module's variables on which input policies are written: from rules to cells and back."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.forms import ValidationError

from apps.catalog.interface import ModuleInterface
from apps.catalog.interface.model import Variable
from apps.catalog.launch_fields import InputField, field_for, read_number, write_as
from apps.policies.rules import Rule, Rules

EFFECTS = (("", "As it is"), ("fix", "Fixed"), ("hide", "Hidden"), ("limit", "Restricted"))
CELLS = ("effect", "value", "options", "minimum", "maximum")
MOST_TEXT = 20_000


@dataclass
class Row:
    """One variable as the table shows it; `cells` are texts by the names of `CELLS`."""

    variable: Variable
    cells: dict[str, str]
    everybody: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.variable.name

    @property
    def effects(self) -> list[dict[str, Any]]:
        return [{"value": v, "label": label, "selected": v == self.cells["effect"]} for v, label in EFFECTS]

    @property
    def takes_options(self) -> bool:
        return self.variable.type.kind in ("string", "number")

    @property
    def takes_minimum(self) -> bool:
        return self.variable.type.kind == "number"

    @property
    def takes_maximum(self) -> bool:
        return self.variable.type.kind in ("string", "number", "list", "set", "map")

    @property
    def maximum_label(self) -> str:
        return "At most" if self.takes_minimum else "Longest"

    @property
    def default_shown(self) -> str:
        if self.variable.required:
            return "required"
        return "none" if self.variable.default is None else write_as(self.variable.default)


def variables_of(interface: ModuleInterface) -> list[Variable]:
    """Those that a rule may speak of."""
    return [variable for variable in interface.variables if not variable.reserved and not variable.sensitive]


def rows_of(interface: ModuleInterface, rules: Rules, everybody: Rules) -> list[Row]:
    return [
        Row(variable, _cells(variable, rules.get(variable.name, {})), rule_words(everybody.get(variable.name, {})))
        for variable in variables_of(interface)
    ]


def rows_sent(interface: ModuleInterface, data: Mapping[str, str], everybody: Rules) -> list[Row]:
    """The rows as somebody has filled them in."""
    return [
        Row(
            variable,
            {cell: data.get(f"{cell}-{variable.name}", "")[:MOST_TEXT] for cell in CELLS},
            rule_words(everybody.get(variable.name, {})),
        )
        for variable in variables_of(interface)
    ]


def rules_read(rows: list[Row]) -> Rules:
    """The rules of filled-in rows; what cannot be read is written into the rows' errors."""
    rules: Rules = {}
    for row in rows:
        try:
            rule = _rule(row)
        except ValidationError as error:
            row.errors = [str(message) for message in error.messages]
            continue
        if rule:
            rules[row.name] = rule
    return rules


def _rule(row: Row) -> Rule:
    cells, effect = {name: text.strip() for name, text in row.cells.items()}, row.cells["effect"]
    left = [cells[name] for name in ("options", "minimum", "maximum")]
    if not effect:
        if cells["value"] or any(left):
            raise ValidationError("Choose what to do with it, or empty its cells.")
        return {}
    if effect in ("fix", "hide") and any(left):
        raise ValidationError("Options and bounds go with “Restricted”: empty them.")
    if effect == "fix":
        if not cells["value"]:
            raise ValidationError("Give the value to fix it at.")
        return {"fix": _value(row.variable, cells["value"])}
    if effect == "hide":
        return {"hide": True, **({"value": _value(row.variable, cells["value"])} if cells["value"] else {})}
    if effect != "limit":
        raise ValidationError("Choose one of the effects.")
    return _limits(row.variable, cells)


def _limits(variable: Variable, cells: Mapping[str, str]) -> Rule:
    rule: Rule = {}
    if cells["options"]:
        rule["options"] = [_value(variable, line.strip()) for line in cells["options"].splitlines() if line.strip()]
    if cells["minimum"]:
        rule["minimum"] = read_number(cells["minimum"])
    if cells["maximum"]:
        rule["maximum" if variable.type.kind == "number" else "longest"] = read_number(cells["maximum"])
    if cells["value"]:
        rule["default"] = _value(variable, cells["value"])
    if not rule:
        raise ValidationError("Give options, a bound or a default to restrict it by.")
    return rule


def _value(variable: Variable, text: str) -> Any:
    found = field_for(variable)
    try:
        return found.read(found.normal_text(text))
    except ValidationError:
        if variable.type.kind == "string" and isinstance(found, InputField):
            return text
        raise


def _cells(variable: Variable, rule: Rule) -> dict[str, str]:
    cells = dict.fromkeys(CELLS, "")
    if not rule:
        return cells
    cells["effect"] = next((key for key in ("fix", "hide") if key in rule), "limit")
    value = next((rule[key] for key in ("fix", "value", "default") if key in rule), None)
    cells["value"] = "" if value is None else field_for(variable).prepare_value(value) or ""
    if not isinstance(cells["value"], str):
        cells["value"] = write_as(value)
    cells["options"] = "\n".join(write_as(option) for option in rule.get("options", ()))
    for cell, keys in (("minimum", ("minimum",)), ("maximum", ("maximum", "longest"))):
        cells[cell] = next((write_as(rule[key]) for key in keys if key in rule), "")
    return cells


def rule_words(rule: Rule) -> str:
    """A rule in one line, to read: "fixed at 4", "one of a, b", "2 to 16"."""
    if not rule:
        return ""
    if "fix" in rule:
        return f"fixed at {_short(rule['fix'])}"
    if "hide" in rule:
        return f"hidden, with {_short(rule['value'])}" if "value" in rule else "hidden"
    told = []
    if "options" in rule:
        told.append(f"one of {', '.join(_short(option) for option in rule['options'])}")
    told += [f"{word} {_short(rule[key])}" for key, word in _BOUNDS if key in rule]
    return ", ".join(told)


_BOUNDS = (("minimum", "at least"), ("maximum", "at most"), ("longest", "at most"), ("default", "default"))


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"
