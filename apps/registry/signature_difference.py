"""What differs between two signatures, and whether callers of the old version break with the new one.

A caller sends what the old inputs say and reads what the old outputs say. It breaks when an input is removed, renamed,
retyped or newly required, and when an output is not what it was. Widening that MLflow converts by itself is fine.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from apps.registry.signature import Field, Signature

# What MLflow's schema enforcement converts without loss: old type → new types that take its values.
WIDENED = {
    ("integer", "long"),
    ("integer", "double"),
    ("float", "double"),
    ("boolean", "integer"),
}


@dataclass(frozen=True)
class Difference:
    """`part` is input, output or parameter; `kind` a word; `text` the sentence."""

    part: str
    kind: str
    text: str
    breaking: bool


@dataclass(frozen=True)
class Compared:
    """`unknown` says why nothing can be said, where a signature is missing."""

    differences: tuple[Difference, ...] = ()
    unknown: str = ""

    @property
    def breaking(self) -> list[Difference]:
        return [each for each in self.differences if each.breaking]


def signatures_compare(old: Signature | None, new: Signature | None) -> Compared:
    if old is None or new is None:
        which = "Neither version has a signature" if old is None and new is None else (
            "The earlier version has no signature" if old is None else "The later version has no signature"
        )  # fmt: skip
        return Compared(unknown=f"{which}: whether callers would break cannot be said.")
    found = [*_inputs(old.inputs, new.inputs), *_outputs(old.outputs, new.outputs), *_params(old.params, new.params)]
    return Compared(tuple(sorted(found, key=lambda each: not each.breaking)))


def _called(field: Field, position: int) -> str:
    return f"“{field.name}”" if field.name else f"number {position + 1}"


def _keyed(fields: tuple[Field, ...]) -> dict[str, tuple[int, Field]]:
    """By name; what has none by its place."""
    return {field.name or f"#{place}": (place, field) for place, field in enumerate(fields)}


def _pairs(
    old: tuple[Field, ...], new: tuple[Field, ...]
) -> tuple[list[tuple[int, Field, Field]], list[tuple[int, Field]], list[tuple[int, Field]]]:
    """Those in both, those removed, those added."""
    before, after = _keyed(old), _keyed(new)
    both = [(place, field, after[key][1]) for key, (place, field) in before.items() if key in after]
    removed = [pair for key, pair in before.items() if key not in after]
    added = [pair for key, pair in after.items() if key not in before]
    return both, removed, added


def _renamed(
    removed: list[tuple[int, Field]], added: list[tuple[int, Field]]
) -> list[tuple[tuple[int, Field], tuple[int, Field]]]:
    """A column that went and one of the same kind that came in its place."""
    found = []
    for gone in removed:
        here = next(
            (
                came
                for came in added
                if came[0] == gone[0] and came[1].name and gone[1].name and _same_kind(gone[1], came[1])
            ),
            None,
        )
        if here is not None:
            found.append((gone, here))
    return found


def _same_kind(one: Field, other: Field) -> bool:
    return (one.type, one.tensor, one.shape) == (other.type, other.tensor, other.shape)


def _inputs(old: tuple[Field, ...], new: tuple[Field, ...]) -> Iterator[Difference]:
    both, removed, added = _pairs(old, new)
    renamed = _renamed(removed, added)
    for (_, gone), (_, came) in renamed:
        yield Difference("input", "renamed", f"Input “{gone.name}” is called “{came.name}” now", True)
    for place, field in (pair for pair in removed if pair not in [gone for gone, _ in renamed]):
        yield Difference("input", "removed", f"Input {_called(field, place)} ({field.shown_type}) is gone", True)
    for place, field in (pair for pair in added if pair not in [came for _, came in renamed]):
        word = "a new required input" if field.required else "a new optional input"
        text = f"{_called(field, place)} ({field.shown_type}) is {word}"
        yield Difference("input", "required" if field.required else "added", _sentence(text), field.required)
    for place, before, after in both:
        yield from _retyped("input", place, before, after, widens=True)
        if after.required and not before.required:
            yield Difference("input", "required", f"Input {_called(after, place)} is required now", True)
        elif before.required and not after.required:
            yield Difference("input", "optional", f"Input {_called(after, place)} may be left out now", False)


def _outputs(old: tuple[Field, ...], new: tuple[Field, ...]) -> Iterator[Difference]:
    both, removed, added = _pairs(old, new)
    renamed = _renamed(removed, added)
    for (_, gone), (_, came) in renamed:
        yield Difference("output", "renamed", f"Output “{gone.name}” is called “{came.name}” now", True)
    for place, field in (pair for pair in removed if pair not in [gone for gone, _ in renamed]):
        yield Difference("output", "removed", f"Output {_called(field, place)} ({field.shown_type}) is gone", True)
    for place, field in (pair for pair in added if pair not in [came for _, came in renamed]):
        # One more beside a single value, or without a name, gives the answer another shape.
        breaking = len(old) < 2 or not field.name
        text = f"{_called(field, place)} ({field.shown_type}) is a new output"
        yield Difference("output", "added", _sentence(text), breaking)
    for place, before, after in both:
        yield from _retyped("output", place, before, after, widens=False)


def _params(old: tuple[Field, ...], new: tuple[Field, ...]) -> Iterator[Difference]:
    both, removed, added = _pairs(old, new)
    for place, field in removed:
        yield Difference("parameter", "removed", f"Parameter {_called(field, place)} is gone", True)
    for place, field in added:
        yield Difference("parameter", "added", f"Parameter {_called(field, place)} is new, with a default", False)
    for place, before, after in both:
        yield from _retyped("parameter", place, before, after, widens=True)
        if before.default != after.default:
            text = f"The default of parameter {_called(after, place)} was {before.default} and is {after.default}"
            yield Difference("parameter", "default", text[:300], False)


def _retyped(part: str, place: int, before: Field, after: Field, *, widens: bool) -> Iterator[Difference]:
    if _same_kind(before, after):
        return
    fine = widens and _takes(before, after)
    text = f"{part.capitalize()} {_called(after, place)} was {before.shown_type} and is {after.shown_type}"
    yield Difference(part, "widened" if fine else "retyped", text, not fine)


def _takes(before: Field, after: Field) -> bool:
    """Whether what was sent before is still taken."""
    if before.tensor != after.tensor or not _shape_takes(before.shape, after.shape):
        return False
    return before.type == after.type or (not before.tensor and (before.type, after.type) in WIDENED)


def _shape_takes(before: tuple[int, ...] | None, after: tuple[int, ...] | None) -> bool:
    if before is None or after is None:
        return before == after
    return len(before) == len(after) and all(b == a or a < 0 for b, a in zip(before, after, strict=True))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
