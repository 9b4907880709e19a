"""The one check of input values, for the form and the API alike."""

import json
from collections.abc import Collection, Mapping
from typing import Any

from apps.catalog.interface.expressions import Verdict, condition_verdict, expression_value
from apps.catalog.interface.hints import hints_of
from apps.catalog.interface.model import ModuleInterface, Validation, Variable
from apps.catalog.interface.problems import did_you_mean
from apps.catalog.interface.type_constraints import value_fit
from apps.catalog.interface.values import EvaluationError, Unsupported, as_text
from apps.core.redaction import holds_credentials

REQUIRED = "This field is required."
CREDENTIALS = (
    "Leave the password out of the address: it would be stored in plain sight. Put it into an input that is marked as "
    "secret instead."
)

# All inputs of an environment together, as JSON.
MAX_TOTAL = 256 * 1024

Errors = dict[str, list[str]]


def inputs_clean(
    interface: ModuleInterface,
    data: Mapping[str, Any],
    *,
    fixed: Mapping[str, Any] | None = None,
    kept: Collection[str] = (),
    unreadable: Collection[str] = (),
) -> tuple[dict[str, Any], Errors]:
    """Check typed values for a module's inputs: the values to run with, and messages by input name ("" for the whole).

    `data`: JSON values by variable; what is absent falls back to the module's default and stays absent in the result,
    as does null for a variable that is not nullable. `fixed`: values that people may not choose; they end up in the
    result. `kept`: sensitive variables whose stored value stays when `data` has none. `unreadable`: variables whose
    value a form could not even read, and reports by itself.
    """
    fixed = fixed or {}
    errors: Errors = {}
    values: dict[str, Any] = {}
    _check_names(interface, data, fixed, errors)
    for variable in interface.variables:
        if variable.reserved or variable.name in unreadable:
            continue
        if variable.name in fixed:
            values[variable.name] = fixed[variable.name]
        elif variable.name in data and not variable.presentation.hidden:
            _take(variable, data[variable.name], values, errors)
        elif variable.required and variable.name not in kept:
            errors[variable.name] = [REQUIRED]
    _check_size(values, errors)
    _check_rules(interface, values, errors, unknown={*kept, *unreadable} - values.keys())
    return values, errors


def _check_names(interface: ModuleInterface, data: Mapping[str, Any], fixed: Mapping[str, Any], errors: Errors) -> None:
    names = [variable.name for variable in interface.inputs if variable.name not in fixed]
    for name in data:
        variable = interface.variable(name)
        if variable is None:
            errors[str(name)[:100]] = [f"There is no input called “{str(name)[:60]}”." + did_you_mean(name, names)]
        elif name in fixed:
            if data[name] != fixed[name]:
                errors[name] = ["This is fixed by the platform engineers and cannot be chosen."]
        elif variable.reserved or variable.presentation.hidden:
            errors[name] = ["This is filled in by Slipway and cannot be chosen."]


def _take(variable: Variable, value: Any, values: dict[str, Any], errors: Errors) -> None:
    """Put one value into `values` in normal form, or say what is wrong with it."""
    if value is None:
        if variable.nullable:
            values[variable.name] = None
        elif variable.required:
            errors[variable.name] = [REQUIRED]
        return
    fitted, problems = value_fit(variable.type, value)
    if problems:
        # A few say enough: a list of a thousand wrong items is one mistake.
        errors[variable.name] = [str(problem) for problem in problems[:5]]
        return
    if not variable.sensitive and _holds_credentials(fitted):
        errors[variable.name] = [CREDENTIALS]
        return
    options = variable.presentation.options
    if options and not any(type(fitted) is type(option.value) and fitted == option.value for option in options):
        errors[variable.name] = [f"Choose one of: {', '.join(option.label for option in options)}."]
        return
    values[variable.name] = fitted


def _holds_credentials(value: Any) -> bool:
    """An address with a password in a value that will be shown, logged and kept as it is."""
    if isinstance(value, str):
        return holds_credentials(value)
    if isinstance(value, dict):
        return any(map(_holds_credentials, value.values()))
    return isinstance(value, list) and any(map(_holds_credentials, value))


def _check_size(values: dict[str, Any], errors: Errors) -> None:
    if len(json.dumps(values)) > MAX_TOTAL:
        errors.setdefault("", []).append(f"All inputs together may have at most {MAX_TOTAL // 1024} KB.")


def _check_rules(
    interface: ModuleInterface, values: dict[str, Any], errors: Errors, *, unknown: Collection[str]
) -> None:
    """Evaluate the `validation` rules of every variable that is fine so far."""
    scope: dict[str, Any] = {}
    for variable in interface.variables:
        if variable.reserved or variable.name in unknown or variable.name in errors:
            continue
        value = values.get(variable.name, variable.default)
        scope[variable.name] = (
            None if value is None else value_fit(variable.type, value, lenient=True, complete=True)[0]
        )
    hidden_names = {variable.name for variable in interface.variables if variable.sensitive}
    for variable in interface.variables:
        if variable.name not in scope or variable.presentation.hidden:
            continue
        broken = [
            rule for rule in variable.validations if condition_verdict(rule.condition_node, scope) is Verdict.BROKEN
        ]
        if broken:
            errors[variable.name] = [_message(rule, variable, scope, hidden_names) for rule in broken]


def _message(rule: Validation, variable: Variable, scope: dict[str, Any], hidden_names: Collection[str]) -> str:
    """The rule's own sentence, which may quote values, though never sensitive ones."""
    visible = {name: value for name, value in scope.items() if name not in hidden_names}
    try:
        return as_text(expression_value(rule.error_message_node, visible))[:1_000]
    except (Unsupported, EvaluationError, RecursionError):
        return (
            rule.error_message
            if rule.error_message_node[0] == "lit"
            else f"This value of “{variable.label}” is not accepted."
        )


def option_values(variable: Variable) -> list[Any]:
    """The values to choose from (module.yaml, or a `contains([...], var.x)` rule); empty where any will do."""
    return [option.value for option in hints_of(variable).options]
