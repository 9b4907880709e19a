"""Which of two semantic versions is the newer one: https://semver.org, section 11."""

from typing import Any


def precedence(version: str) -> tuple[Any, ...]:
    """A key to sort by. What is no semantic version comes before all that are."""
    core, _, before = version.partition("+")[0].partition("-")
    try:
        numbers = tuple(int(part) for part in core.split("."))
    except ValueError:
        return (-1,)
    if not before:
        return (0, numbers, 1, ())
    identifiers = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in before.split("."))
    return (0, numbers, 0, identifiers)
