"""Validation rules evaluated in the portal, so that a mistake shows beside its field and not after a plan.

An interpreter for the common part of Terraform's expressions. It answers only what it is sure of: anything outside its
subset raises `Unsupported`, the rule counts as unknown, and Terraform's own plan decides. Numbers are exact fractions,
which agrees with Terraform's 512-bit arithmetic wherever a rule could tell the difference.
"""

from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Any

from apps.catalog.interface.hcl_syntax import Node
from apps.catalog.interface.values import (
    EvaluationError,
    Unsupported,
    as_bool,
    as_number,
    as_text,
    to_engine,
    value_equal,
)


class Verdict(StrEnum):
    """What evaluating a rule came to."""

    HOLDS = "holds"
    BROKEN = "broken"
    UNKNOWN = "unknown"


def condition_verdict(node: Node, variables: Mapping[str, Any]) -> Verdict:
    """Whether a condition holds for the values of `variables` (JSON values by name; an absent one is unknown)."""
    try:
        return Verdict.HOLDS if as_bool(expression_value(node, variables)) else Verdict.BROKEN
    except (Unsupported, EvaluationError, RecursionError):
        # A rule that fails by itself is the module author's mistake, which only Terraform may report.
        return Verdict.UNKNOWN


def expression_value(node: Node, variables: Mapping[str, Any]) -> Any:
    """The value of an expression (numbers as `Fraction`). Raises `Unsupported` or `EvaluationError`."""
    scope = _Scope({name: to_engine(value) for name, value in variables.items()}, {})
    return _evaluate(node, scope)


class _Scope:
    """The values of the module's variables and of the enclosing `for` expressions."""

    def __init__(self, variables: dict[str, Any], names: dict[str, Any]) -> None:
        self.variables = variables
        self.names = names

    def within(self, names: dict[str, Any]) -> "_Scope":
        return _Scope(self.variables, {**self.names, **names})


def _evaluate(node: Node, scope: _Scope) -> Any:
    rule = _RULES.get(node[0])
    if rule is None:
        raise Unsupported(str(node[-1]))
    return rule(node, scope)


def _literal(node: Node, scope: _Scope) -> Any:
    return to_engine(node[1])


def _template(node: Node, scope: _Scope) -> str:
    parts = [_evaluate(part, scope) for part in node[1]]
    if len(parts) == 1:
        return parts[0]  # "${x}" alone is x itself, of whatever type
    return "".join(as_text(part) for part in parts)


def _name(node: Node, scope: _Scope) -> Any:
    if node[1] in scope.names:
        return scope.names[node[1]]
    raise Unsupported(f"reference to {node[1]}")


def _attr(node: Node, scope: _Scope) -> Any:
    base, name = node[1], node[2]
    if base[0] == "name" and base[1] not in scope.names:
        if base[1] == "var" and name in scope.variables:
            return scope.variables[name]
        raise Unsupported(f"reference to {base[1]}.{name}")
    return _pick(_evaluate(base, scope), name)


def _index(node: Node, scope: _Scope) -> Any:
    return _pick(_evaluate(node[1], scope), _evaluate(node[2], scope))


def _pick(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        name = as_text(key)
        if name in value:
            return value[name]
        raise EvaluationError("no such attribute")
    if isinstance(value, list):
        position = as_number(key)
        if position.denominator == 1 and 0 <= position < len(value):
            return value[int(position)]
        raise EvaluationError("no such item")
    raise EvaluationError("not a collection")


def _splat(node: Node, scope: _Scope) -> Any:
    value = _evaluate(node[1], scope)
    items = value if isinstance(value, list) else [] if value is None else [value]
    for name in node[2]:
        items = [_pick(item, name) for item in items]
    return items


def _tuple(node: Node, scope: _Scope) -> list[Any]:
    return [_evaluate(item, scope) for item in node[1]]


def _object(node: Node, scope: _Scope) -> dict[str, Any]:
    return {as_text(_evaluate(key, scope)): _evaluate(value, scope) for key, value in node[1]}


def _unary(node: Node, scope: _Scope) -> Any:
    value = _evaluate(node[2], scope)
    return not as_bool(value) if node[1] == "!" else -as_number(value)


def _logical(operator: str, left: Node, right: Node, scope: _Scope) -> bool:
    """&& and ||; a side that cannot be evaluated does not matter where the other one decides alone."""
    decisive = operator == "||"
    try:
        if as_bool(_evaluate(left, scope)) is decisive:
            return decisive
    except Unsupported:
        # False && anything refuses the value, whether the unknown side is false or fails.
        if operator == "&&" and as_bool(_evaluate(right, scope)) is False:
            return False
        raise
    return as_bool(_evaluate(right, scope))


def _binary(node: Node, scope: _Scope) -> Any:
    _, operator, left_node, right_node = node
    if operator in {"&&", "||"}:
        return _logical(operator, left_node, right_node, scope)
    left, right = _evaluate(left_node, scope), _evaluate(right_node, scope)
    if operator == "==":
        return value_equal(left, right)
    if operator == "!=":
        return not value_equal(left, right)
    return _numeric(operator, as_number(left), as_number(right))


def _numeric(operator: str, left: Fraction, right: Fraction) -> Any:
    match operator:
        case "<":
            return left < right
        case ">":
            return left > right
        case "<=":
            return left <= right
        case ">=":
            return left >= right
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    if right == 0:
        raise EvaluationError("division by zero")
    # The remainder has the sign of the dividend, as in Go.
    return left / right if operator == "/" else left - right * int(left / right)


def _conditional(node: Node, scope: _Scope) -> Any:
    chosen, other = (node[2], node[3]) if as_bool(_evaluate(node[1], scope)) else (node[3], node[2])
    value = _evaluate(chosen, scope)
    try:
        alternative = _evaluate(other, scope)
    except (EvaluationError, Unsupported):
        return value
    # Terraform gives both sides one type; only for equal ones is that the value itself.
    if None not in (value, alternative) and type(value) is not type(alternative):
        raise Unsupported("conditional with two types")
    return value


def _for(node: Node, scope: _Scope) -> Any:
    _, key_name, value_name, collection, key_result, result, condition, grouped = node
    if grouped:
        raise Unsupported("grouping for")
    made: list[tuple[Any, Any]] = []
    for key, value in _pairs(_evaluate(collection, scope)):
        inner = scope.within({value_name: value} | ({key_name: key} if key_name else {}))
        if condition is not None and not as_bool(_evaluate(condition, inner)):
            continue
        made.append((_evaluate(key_result, inner) if key_result is not None else None, _evaluate(result, inner)))
    if key_result is None:
        return [value for _, value in made]
    mapping = {as_text(key): value for key, value in made}
    if len(mapping) != len(made):
        raise EvaluationError("two equal keys")
    return mapping


def _pairs(collection: Any) -> list[tuple[Any, Any]]:
    if isinstance(collection, dict):
        return sorted(collection.items())
    if isinstance(collection, list):
        return [(Fraction(position), value) for position, value in enumerate(collection)]
    raise EvaluationError("not a collection")


def _call(node: Node, scope: _Scope) -> Any:
    # Imported late: the functions need the interpreter's values only, but `can` and `try` need the interpreter.
    from apps.catalog.interface.functions import FUNCTIONS

    _, name, arguments, expand = node
    if name == "can":
        return _attempt(arguments[0], scope) is not _FAILED if len(arguments) == 1 else _refuse(name)
    if name == "try":
        return _first_that_works(arguments, scope)
    function = FUNCTIONS.get(name)
    if function is None:
        raise Unsupported(f"function {name}")
    values = [_evaluate(argument, scope) for argument in arguments]
    if expand:
        if not isinstance(values[-1], list):
            raise EvaluationError("only a list can be expanded")
        values = [*values[:-1], *values[-1]]
    if not function.takes(len(values)):
        raise EvaluationError(f"{name} takes another number of arguments")
    return function.run(*values)


_FAILED = object()


def _attempt(node: Node, scope: _Scope) -> Any:
    try:
        return _evaluate(node, scope)
    except EvaluationError:
        return _FAILED


def _first_that_works(arguments: list[Node], scope: _Scope) -> Any:
    for argument in arguments:
        value = _attempt(argument, scope)
        if value is not _FAILED:
            return value
    raise EvaluationError("no argument of try works")


def _refuse(name: str) -> Any:
    raise EvaluationError(f"{name} takes another number of arguments")


_RULES = {
    "lit": _literal,
    "template": _template,
    "name": _name,
    "attr": _attr,
    "index": _index,
    "splat": _splat,
    "tuple": _tuple,
    "object": _object,
    "unary": _unary,
    "binary": _binary,
    "if": _conditional,
    "for": _for,
    "call": _call,
}
