"""What the platform team may say of one variable, and whether it makes sense for a module's interface.

A rule is one of `{"fix": value}`, `{"hide": true, "value"?}`, or any of `options`, `minimum`, `maximum`, `longest`
and `default` together.
"""

import math
from collections.abc import Mapping
from typing import Any

from apps.catalog.interface import ModuleInterface, inputs_clean
from apps.catalog.interface.model import Variable
from apps.catalog.interface.type_constraints import value_fit

Rule = dict[str, Any]
Rules = dict[str, Rule]

KEYS = ("fix", "hide", "value", "options", "minimum", "maximum", "longest", "default")
MOST_OPTIONS = 200
MOST_VARIABLES = 500
LONGEST = 100_000


def rules_problems(interface: ModuleInterface, rules: Any) -> dict[str, list[str]]:
    """Messages by variable ("" for the whole); empty where all of it can be stored."""
    if not isinstance(rules, dict):
        return {"": ["Give an object of rules by variable."]}
    if len(rules) > MOST_VARIABLES:
        return {"": [f"Set at most {MOST_VARIABLES} variables."]}
    found = {str(name)[:100]: rule_problems(interface, name, rule) for name, rule in rules.items()}
    return {name: problems for name, problems in found.items() if problems}


def rule_problems(interface: ModuleInterface, name: str, rule: Any) -> list[str]:
    """Why a rule cannot be held for a variable of this interface; empty where it can."""
    variable = interface.variable(name)
    if variable is None:
        return [f"{interface.title} {interface.version} has no variable “{str(name)[:60]}”."]
    if variable.reserved:
        return ["This is filled in by Slipway."]
    if variable.sensitive:
        return ["This holds a secret: give it by a variable set, where it is encrypted."]
    if not isinstance(rule, dict) or not rule:
        return ["Give an object with at least one of: fix, hide, options, minimum, maximum, longest, default."]
    if unknown := sorted(str(key)[:40] for key in rule if key not in KEYS):
        return [f"There is no “{unknown[0]}”. There are: {', '.join(KEYS)}."]
    return _contradictions(rule) or _decided(interface, variable, rule) or _restricted(interface, variable, rule)


def _contradictions(rule: Rule) -> list[str]:
    if "fix" in rule and len(rule) > 1:
        return ["A fixed value leaves nothing else to say: take the rest away."]
    if "hide" in rule:
        if rule["hide"] is not True:
            return ["Write true, or leave “hide” away."]
        if set(rule) - {"hide", "value"}:
            return ["What is hidden cannot be chosen: take the rest away."]
    elif "value" in rule:
        return ["A value goes with “hide”; elsewhere it is a “fix” or a “default”."]
    if "options" in rule and set(rule) & {"minimum", "maximum", "longest"}:
        return ["Options and bounds do not go together: leave one of them away."]
    return []


def _decided(interface: ModuleInterface, variable: Variable, rule: Rule) -> list[str]:
    for key in ("fix", "value"):
        if key in rule:
            return _value_problems(interface, variable, rule[key])
    if "hide" in rule and variable.required:
        return ["The module needs a value for it: give one to hide it with."]
    return []


def _restricted(interface: ModuleInterface, variable: Variable, rule: Rule) -> list[str]:
    problems = [*_options_problems(interface, variable, rule), *_bounds_problems(variable, rule)]
    if problems:
        return problems
    if "default" in rule:
        problems = _value_problems(interface, variable, rule["default"]) or [
            f"The default does not keep to the rule: {problem}" for problem in breaches(rule, rule["default"])
        ]
    elif variable.has_default and variable.default is not None and (broken := breaches(rule, variable.default)):
        problems = [
            f"The module's own default, {shown(variable.default)}, breaks it: give another default. {broken[0]}"
        ]
    return problems


def _options_problems(interface: ModuleInterface, variable: Variable, rule: Rule) -> list[str]:
    if "options" not in rule:
        return []
    options = rule["options"]
    if variable.type.kind not in ("string", "number"):
        return [f"Options go with text and numbers; this is {variable.type}."]
    if not isinstance(options, list) or not options:
        return ["Give at least one option."]
    if len(options) > MOST_OPTIONS:
        return [f"Give at most {MOST_OPTIONS} options."]
    if any(option in options[:place] for place, option in enumerate(options)):
        return ["An option is there twice."]
    for option in options:
        if problems := _value_problems(interface, variable, option):
            return [f"Option {shown(option)}: {problems[0]}"]
    return []


def _bounds_problems(variable: Variable, rule: Rule) -> list[str]:
    for key in ("minimum", "maximum"):
        if key in rule:
            if variable.type.kind != "number":
                return [f"A {key} goes with numbers; this is {variable.type}."]
            if not _is_number(rule[key]):
                return [f"Give a number as {key}."]
    if "longest" in rule:
        longest = rule["longest"]
        if variable.type.kind not in ("string", "list", "set", "map"):
            return [f"A longest length goes with text and lists; this is {variable.type}."]
        if not isinstance(longest, int) or isinstance(longest, bool) or not 1 <= longest <= LONGEST:
            return [f"Give a whole number from 1 to {LONGEST:,} as longest length."]
    if {"minimum", "maximum"} <= rule.keys() and rule["minimum"] > rule["maximum"]:
        return [f"The minimum, {shown(rule['minimum'])}, is above the maximum, {shown(rule['maximum'])}."]
    return []


def breaches(rule: Mapping[str, Any], value: Any) -> list[str]:
    """What a value breaks of a rule's restrictions; null breaks none of them."""
    if value is None:
        return []
    if "options" in rule:
        kept = any(type(option) is type(value) and option == value for option in rule["options"])
        return [] if kept else [f"Choose one of: {', '.join(map(shown, rule['options']))}."]
    found = []
    if _is_number(value):
        if "minimum" in rule and value < rule["minimum"]:
            found.append(f"Choose at least {shown(rule['minimum'])}.")
        if "maximum" in rule and value > rule["maximum"]:
            found.append(f"Choose at most {shown(rule['maximum'])}.")
    if "longest" in rule and isinstance(value, str | list | dict) and len(value) > rule["longest"]:
        unit = "characters" if isinstance(value, str) else "entries"
        found.append(f"Use at most {rule['longest']} {unit}.")
    return found


def obeying(rule: Mapping[str, Any], value: Any) -> Any:
    """The value of a preset or a link, or the nearest that the rule lets be."""
    if not breaches(rule, value):
        return value
    if "options" in rule:
        return rule.get("default", rule["options"][0])
    if _is_number(value):
        return rule["minimum"] if value < rule.get("minimum", value) else rule["maximum"]
    return rule.get("default", value)


def shown(value: Any) -> str:
    """A value as a sentence takes it, cut where it is long."""
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _value_problems(interface: ModuleInterface, variable: Variable, value: Any) -> list[str]:
    """A value as the module itself would judge it."""
    if value is None:
        return [] if variable.nullable else ["The module does not take null here."]
    _, problems = value_fit(variable.type, value)
    if problems:
        return [str(problem) for problem in problems[:3]]
    visible = {other.name for other in interface.inputs}
    if variable.name not in visible:
        return []
    return inputs_clean(interface, {variable.name: value})[1].get(variable.name, [])[:3]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
