"""What can stand where somebody is writing in a filter: a name, an operator, a value."""

import re
from dataclasses import dataclass
from typing import Literal

from apps.experiments.filters.fields import ATTRIBUTES, DATASET_KEYS, KINDS, attribute_named
from apps.experiments.filters.nodes import PLAIN_KEY, Kind

WORD = re.compile(r"""[^\s(),]*$""")
COMPARED = re.compile(
    r"""([^\s()'"`,=<>!]+|[a-z]+\.(?:`[^`]*`|"[^"]*"))\s*(=|!=|<>|<=|>=|<|>|\bI?LIKE\b|\bIN\s*\()\s*$""", re.IGNORECASE
)
DONE = re.compile(r"""(?:^|\s)([a-z_]+|[a-z]+\.(?:[\w./-]+|`[^`]*`|"[^"]*"))\s+$""")
CONNECTORS = ("AND", "OR", "NOT")


@dataclass(frozen=True)
class Place:
    """Where the caret is: `asks` what for, `begun` what of it stands already, from `start` on.

    For a value, `kind` and `key` say what it is of.
    """

    asks: Literal["name", "operator", "value"]
    begun: str
    start: int
    kind: Kind | None = None
    key: str = ""


def place_of(text: str, caret: int) -> Place:
    """Read backwards from the caret; never fails, because what is being written is not whole yet."""
    before = text[:caret]
    quoted = _open_quote(before)
    if quoted is not None:
        found = COMPARED.search(before[:quoted])
        if found:
            kind, key = _named(found[1])
            return Place("value", before[quoted + 1 :], quoted, kind, key)
    word = WORD.search(before)
    start = word.start() if word else caret
    begun = before[start:]
    found = COMPARED.search(before[:start])
    if found:
        kind, key = _named(found[1])
        return Place("value", begun, start, kind, key)
    if not begun:
        named = DONE.search(before)
        if named and (attribute_named(named[1]) or _named(named[1])[0] not in {None, Kind.ATTRIBUTE}):
            return Place("operator", "", start)
    return Place("name", begun, start)


def _open_quote(before: str) -> int | None:
    """Where the quote that the caret stands in was opened."""
    opened: int | None = None
    mark = ""
    for index, character in enumerate(before):
        if opened is None and character in "'\"`":
            opened, mark = index, character
        elif opened is not None and character == mark:
            opened = None
    return None if opened is None or mark == "`" else opened


def _named(name: str) -> tuple[Kind | None, str]:
    head, dot, key = name.partition(".")
    if dot and head in KINDS:
        return KINDS[head], key.strip('`"')
    attribute = attribute_named(name)
    return (Kind.ATTRIBUTE, attribute) if attribute else (None, name)


def key_written(kind: str, key: str) -> str:
    """As it stands in a filter: metrics.auc, params.`a b`."""
    return f"{kind}.{key if PLAIN_KEY.fullmatch(key) else '`' + key.replace('`', '``') + '`'}"


def attributes_matching(begun: str) -> list[tuple[str, str]]:
    """Names and what they are, the data sets' among them."""
    rows = [(name, known.about) for name, known in ATTRIBUTES.items()]
    rows += [(f"datasets.{key}", f"{key.replace('_', ' ').capitalize()} of a data set") for key in DATASET_KEYS]
    return [(name, about) for name, about in rows if begun.lower() in name]
