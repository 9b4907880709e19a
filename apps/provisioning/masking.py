"""Hiding sensitive values in what people and logs get to see of plans and states.

Two ways together: by place, as Terraform marks it, and by value, because a provider may copy a secret into an
attribute that nobody marked (the `output` of a `terraform_data`, say).
"""

from collections.abc import Iterable
from typing import Any

MASK = "••••••"
UNKNOWN = "known after apply"
# Shorter ones are too common to be looked for: equal values from the first length on, parts of text from the second.
EQUAL_FROM = 4
PART_FROM = 6


def secrets_in(value: Any, sensitive: Any) -> set[str]:
    """The scalar values below every place that `sensitive` (true, or a tree of the same shape) marks."""
    if sensitive is True:
        return {text for text in _scalars(value) if len(text) >= EQUAL_FROM}
    found: set[str] = set()
    for part, marks in _children(value, sensitive):
        found |= secrets_in(part, marks)
    return found


def masked(value: Any, sensitive: Any = False, unknown: Any = False, *, secrets: Iterable[str] = ()) -> Any:
    """`value` with sensitive places masked and unknown ones named; `secrets` are masked wherever they are."""
    known = sorted({secret for secret in secrets if len(secret) >= EQUAL_FROM}, key=len, reverse=True)
    return _masked(value, sensitive, unknown, known)


def _masked(value: Any, sensitive: Any, unknown: Any, secrets: list[str]) -> Any:
    if unknown is True:
        return UNKNOWN
    if sensitive is True:
        return None if value is None else MASK
    if isinstance(value, dict) or (value is None and isinstance(unknown, dict) and unknown):
        held = value or {}
        later = unknown if isinstance(unknown, dict) else {}
        marks = sensitive if isinstance(sensitive, dict) else {}
        names = [*held, *(name for name in later if name not in held and later[name])]
        return {
            _text(str(name), secrets): _masked(held.get(name), marks.get(name, False), later.get(name, False), secrets)
            for name in names
        }
    if isinstance(value, list):
        return [_masked(item, _at(sensitive, i), _at(unknown, i), secrets) for i, item in enumerate(value)]
    if isinstance(value, str):
        return _text(value, secrets)
    if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in secrets:
        return MASK
    return value


def _text(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        if text == secret:
            return MASK
        if len(secret) >= PART_FROM:
            text = text.replace(secret, MASK)
    return text


def _scalars(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        for item in value:
            yield from _scalars(item)
    elif isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)


def _children(value: Any, marks: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, dict) and isinstance(marks, dict):
        yield from ((value[name], marks[name]) for name in value if name in marks)
    elif isinstance(value, list) and isinstance(marks, list):
        yield from zip(value, marks, strict=False)


def _at(items: Any, index: int) -> Any:
    return items[index] if isinstance(items, list) and index < len(items) else False
