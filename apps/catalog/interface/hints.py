"""What the rules of a variable say about its field: bounds, choices, length. Hints only: the rules decide."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.catalog.interface.hcl_syntax import Node
from apps.catalog.interface.model import Option, Variable

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass
class Hints:
    """Derived from rules every value has to satisfy. `minimum` and `maximum` are inclusive."""

    minimum: float | None = None
    maximum: float | None = None
    whole: bool = False
    max_length: int | None = None
    options: tuple[Option, ...] = ()


def hints_of(variable: Variable) -> Hints:
    """The hints in a variable's rules, and the options of its presentation, which win."""
    hints = Hints()
    own: Node = ["attr", ["name", "var"], variable.name]
    for validation in variable.validations:
        for term in _terms(validation.condition_node, own):
            _note(hints, term, own)
    if variable.presentation.options:
        hints.options = variable.presentation.options
    return hints


def _terms(node: Node, own: Node) -> Iterator[Node]:
    """The parts of a rule that all have to hold; `var.x == null || rule` and `try(rule, false)` count as the rule."""
    if node[:2] == ["binary", "&&"]:
        yield from _terms(node[2], own)
        yield from _terms(node[3], own)
    elif node[:2] == ["binary", "||"] and node[2] in (
        ["binary", "==", own, ["lit", None]],
        ["binary", "==", ["lit", None], own],
    ):
        yield from _terms(node[3], own)
    elif node[:2] == ["call", "try"] and len(node[2]) == 2 and node[2][1] == ["lit", False]:
        yield from _terms(node[2][0], own)
    else:
        yield node


def _note(hints: Hints, term: Node, own: Node) -> None:
    if term[0] == "binary" and term[1] in _MIRRORED:
        _, operator, left, right = term
        if left[0] == "lit":
            operator, left, right = _MIRRORED[operator], right, left
        if right[0] == "lit" and _choosable(right[1]) and not isinstance(right[1], str):
            _note_bound(hints, operator, left, right[1], own)
    elif term[:2] == ["binary", "=="]:
        sides = term[2:]
        floors = (["call", "floor", [own], False], ["call", "ceil", [own], False])
        hints.whole |= any(side in floors for side in sides) and own in sides
        hints.whole |= ["binary", "%", own, ["lit", 1]] in sides and ["lit", 0] in sides
    elif term[:2] == ["call", "contains"] and len(term[2]) == 2 and term[2][1] == own:
        values = _literals(term[2][0])
        hints.options = tuple(Option(value, str(value)) for value in values)


def _note_bound(hints: Hints, operator: str, left: Node, bound: Any, own: Node) -> None:
    if left == own:
        # An exclusive bound is no attribute of an HTML field; the rule itself still refuses the bound.
        if operator in {">=", ">"}:
            hints.minimum = bound if hints.minimum is None else max(hints.minimum, bound)
        else:
            hints.maximum = bound if hints.maximum is None else min(hints.maximum, bound)
    elif left == ["call", "length", [own], False] and operator in {"<=", "<"}:
        longest = int(bound) if operator == "<=" else int(bound) - 1
        hints.max_length = longest if hints.max_length is None else min(hints.max_length, longest)


def _literals(node: Node) -> list[Any]:
    """The values of a list of plain strings or numbers, else nothing."""
    if node[0] == "call" and node[1] in {"toset", "tolist"} and len(node[2]) == 1:
        node = node[2][0]
    if node[0] != "tuple" or not all(item[0] == "lit" and _choosable(item[1]) for item in node[1]):
        return []
    return [item[1] for item in node[1]]


def _choosable(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
