"""What a filter means, as a tree, and the tree as text again: `filter_parse(filter_print(tree)) == tree`.

    text        = term { ["AND" | "OR"] term }          AND binds tighter than OR, and is meant where nothing stands
    term        = "NOT" term | "(" text ")" | comparison | word | quoted text
    comparison  = field operator value | field "IS" ["NOT"] "NULL" | field ["NOT"] "IN" "(" value { "," value } ")"
    field       = ("metrics" | "params" | "tags" | "datasets" | "attributes") "." key | attribute
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | "LIKE" | "ILIKE", or NOT before the last two

Keys with other characters stand in `backticks` or "double quotes", values in 'single' or "double" ones; a quote inside
is written twice. MLflow's filters are of this language and mean the same in it.
"""

import dataclasses
import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TypeAlias

KEYWORDS = frozenset({"and", "or", "not"})
PLAIN_WORD = re.compile(r"\w+")
PLAIN_KEY = re.compile(r"[^\W\d][\w.]*")


class Kind(StrEnum):
    METRIC = "metrics"
    PARAM = "params"
    TAG = "tags"
    DATASET = "datasets"
    ATTRIBUTE = "attributes"


@dataclass(frozen=True)
class Field:
    """What is compared; `key` is case-sensitive and, for an attribute, its name in `fields.ATTRIBUTES`."""

    kind: Kind
    key: str

    def __str__(self) -> str:
        if self.kind is Kind.ATTRIBUTE:
            return self.key
        return f"{self.kind.value}.{self.key if PLAIN_KEY.fullmatch(self.key) else _quoted(self.key, '`')}"


@dataclass(frozen=True)
class Span:
    """A length of time, `10m`; as text it is one number with the unit that loses nothing."""

    seconds: float

    def __str__(self) -> str:
        for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)):
            if self.seconds and self.seconds % size == 0:
                return f"{int(self.seconds // size)}{unit}"
        return f"{number_print(self.seconds)}s"

    @property
    def delta(self) -> timedelta:
        return timedelta(seconds=self.seconds)


@dataclass(frozen=True)
class Moment:
    """A time as it was written, "2026-11-03", "today", "last 7 days": what it means is read when it is asked for."""

    text: str


Value: TypeAlias = "str | float | Span | Moment | tuple[Value, ...] | None"


@dataclass(frozen=True)
class Comparison:
    """`operator` is in upper case; for IS NULL and IS NOT NULL `value` is None, for IN and NOT IN a tuple."""

    field: Field
    operator: str
    value: Value
    position: int = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.field} {self.operator}"
        return f"{self.field} {self.operator} {_value_print(self.value)}"


@dataclass(frozen=True)
class Words:
    """Full text: the run holds `text` somewhere, in any case."""

    text: str
    position: int = dataclasses.field(default=0, compare=False)

    def __str__(self) -> str:
        plain = PLAIN_WORD.fullmatch(self.text) and self.text.lower() not in KEYWORDS
        return self.text if plain else _quoted(self.text, '"')


@dataclass(frozen=True)
class Not:
    part: "Node"

    def __str__(self) -> str:
        return f"NOT {_inner(self.part)}"


@dataclass(frozen=True)
class All:
    """AND of two or more; without parts, everything."""

    parts: tuple["Node", ...] = ()

    def __str__(self) -> str:
        return " AND ".join(_inner(part) for part in self.parts)


@dataclass(frozen=True)
class AnyOf:
    """OR of two or more."""

    parts: tuple["Node", ...]

    def __str__(self) -> str:
        return " OR ".join(str(part) if isinstance(part, All) else _inner(part) for part in self.parts)


Node: TypeAlias = Comparison | Words | Not | All | AnyOf


def filter_print(node: Node) -> str:
    return str(node)


def number_print(value: float) -> str:
    whole = value.is_integer() and abs(value) < 1e15
    return str(int(value)) if whole else repr(value)


def _inner(node: Node) -> str:
    return f"({node})" if isinstance(node, All | AnyOf) else str(node)


def _value_print(value: Value) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(_value_print(item) for item in value)})"
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, float):
        return number_print(value)
    return str(value) if isinstance(value, Span) else _quoted(str(value), "'")


def _quoted(text: str, mark: str) -> str:
    return f"{mark}{text.replace(mark, mark * 2)}{mark}"
