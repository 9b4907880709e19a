"""The functions of Terraform's language that validation rules commonly use.

Source: https://developer.hashicorp.com/terraform/language/functions
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from apps.catalog.interface.patterns import pattern_captures, pattern_find, pattern_find_all
from apps.catalog.interface.values import (
    EvaluationError,
    Unsupported,
    as_bool,
    as_dict,
    as_integer,
    as_list,
    as_number,
    as_text,
    text_length,
    value_equal,
)


@dataclass(frozen=True)
class Function:
    """A function and how many arguments it takes (`most` None: any number)."""

    run: Callable[..., Any]
    least: int
    most: int | None

    def takes(self, count: int) -> bool:
        return count >= self.least and (self.most is None or count <= self.most)


def _length(value: Any) -> Fraction:
    if isinstance(value, str):
        return Fraction(text_length(value))
    if isinstance(value, list | dict):
        return Fraction(len(value))
    raise EvaluationError("length of what has none")


def _contains(items: Any, wanted: Any) -> bool:
    return any(value_equal(item, wanted) for item in as_list(items))


def _regex(pattern: Any, text: Any) -> Any:
    found = pattern_find(as_text(pattern), as_text(text))
    if found is None:
        raise EvaluationError("the pattern does not match")
    return pattern_captures(found)


def _all_true(items: Any) -> bool:
    return all(item is not None and as_bool(item) for item in as_list(items))


def _any_true(items: Any) -> bool:
    return any(item is not None and as_bool(item) for item in as_list(items))


def _lookup(mapping: Any, key: Any, *default: Any) -> Any:
    found = as_dict(mapping)
    if as_text(key) in found:
        return found[as_text(key)]
    if default:
        return default[0]
    raise EvaluationError("no such key")


def _coalesce(*values: Any) -> Any:
    if len({type(value) for value in values if value is not None}) > 1:
        raise Unsupported("coalesce of several types")
    for value in values:
        if value is not None and value != "":
            return value
    raise EvaluationError("only empty values")


def _distinct(items: Any) -> list[Any]:
    kept: list[Any] = []
    for item in as_list(items):
        if not any(value_equal(item, other) for other in kept):
            kept.append(item)
    return kept


def _to_set(items: Any) -> list[Any]:
    unique = _distinct(items)
    if len({type(item) for item in unique}) > 1 or any(item is None for item in unique):
        raise Unsupported("set of several types")
    return sorted(unique)


def _flatten(items: Any) -> list[Any]:
    flat: list[Any] = []
    for item in as_list(items):
        flat.extend(_flatten(item) if isinstance(item, list) else [item])
    return flat


def _one(items: Any) -> Any:
    found = as_list(items)
    if len(found) > 1:
        raise EvaluationError("more than one")
    return found[0] if found else None


def _sum(items: Any) -> Fraction:
    numbers = [as_number(item) for item in as_list(items)]
    if not numbers:
        raise EvaluationError("sum of nothing")
    return sum(numbers, Fraction(0))


def _element(items: Any, position: Any) -> Any:
    found, index = as_list(items), as_integer(position)
    if not found or index < 0:
        raise EvaluationError("no such item")
    return found[index % len(found)]


def _substr(text: Any, offset: Any, length: Any) -> str:
    characters, start, count = as_text(text), as_integer(offset), as_integer(length)
    if text_length(characters) != len(characters) or start < 0:
        raise Unsupported("substr from the end")
    return characters[start:] if count < 0 else characters[start : start + count]


def _to(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _replace(text: Any, old: Any, new: Any) -> str:
    if len(as_text(old)) > 1 and as_text(old).startswith("/") and as_text(old).endswith("/"):
        raise Unsupported("replace with a pattern")
    return as_text(text).replace(as_text(old), as_text(new))


def _cased(text: Any) -> str:
    if not as_text(text).isascii():
        raise Unsupported("case of letters outside of ASCII")
    return as_text(text)


def _trim_space(text: Any) -> str:
    # Python counts four separators of ASCII as space that Go does not.
    if any("\x1c" <= character <= "\x1f" for character in as_text(text)):
        raise Unsupported("separators")
    return as_text(text).strip()


def _split(separator: Any, text: Any) -> list[str]:
    mark, whole = as_text(separator), as_text(text)
    return whole.split(mark) if mark else list(whole)


def _merge(*mappings: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for mapping in mappings:
        merged |= {} if mapping is None else as_dict(mapping)
    return merged


FUNCTIONS: dict[str, Function] = {
    "abs": Function(lambda value: abs(as_number(value)), 1, 1),
    "alltrue": Function(_all_true, 1, 1),
    "anytrue": Function(_any_true, 1, 1),
    "ceil": Function(lambda value: Fraction(math.ceil(as_number(value))), 1, 1),
    "coalesce": Function(_coalesce, 1, None),
    "compact": Function(lambda items: [item for item in as_list(items) if item not in (None, "")], 1, 1),
    "concat": Function(lambda *lists: [item for items in lists for item in as_list(items)], 1, None),
    "contains": Function(_contains, 2, 2),
    "distinct": Function(_distinct, 1, 1),
    "element": Function(_element, 2, 2),
    "endswith": Function(lambda text, suffix: as_text(text).endswith(as_text(suffix)), 2, 2),
    "flatten": Function(_flatten, 1, 1),
    "floor": Function(lambda value: Fraction(math.floor(as_number(value))), 1, 1),
    "join": Function(lambda mark, *lists: as_text(mark).join(as_text(x) for xs in lists for x in as_list(xs)), 2, None),
    "keys": Function(lambda mapping: sorted(as_dict(mapping)), 1, 1),
    "length": Function(_length, 1, 1),
    "lookup": Function(_lookup, 2, 3),
    "lower": Function(lambda text: _cased(text).lower(), 1, 1),
    "max": Function(lambda *values: max(as_number(value) for value in values), 1, None),
    "merge": Function(_merge, 0, None),
    "min": Function(lambda *values: min(as_number(value) for value in values), 1, None),
    "one": Function(_one, 1, 1),
    "regex": Function(_regex, 2, 2),
    "regexall": Function(lambda pattern, text: pattern_find_all(as_text(pattern), as_text(text)), 2, 2),
    "replace": Function(_replace, 3, 3),
    "reverse": Function(lambda items: list(reversed(as_list(items))), 1, 1),
    "split": Function(_split, 2, 2),
    "startswith": Function(lambda text, prefix: as_text(text).startswith(as_text(prefix)), 2, 2),
    "strcontains": Function(lambda text, part: as_text(part) in as_text(text), 2, 2),
    "substr": Function(_substr, 3, 3),
    "sum": Function(_sum, 1, 1),
    "tobool": Function(_to(as_bool), 1, 1),
    "tolist": Function(as_list, 1, 1),
    "tomap": Function(as_dict, 1, 1),
    "tonumber": Function(_to(as_number), 1, 1),
    "toset": Function(_to_set, 1, 1),
    "tostring": Function(_to(as_text), 1, 1),
    "trimprefix": Function(lambda text, prefix: as_text(text).removeprefix(as_text(prefix)), 2, 2),
    "trimspace": Function(_trim_space, 1, 1),
    "trimsuffix": Function(lambda text, suffix: as_text(text).removesuffix(as_text(suffix)), 2, 2),
    "upper": Function(lambda text: _cased(text).upper(), 1, 1),
    "values": Function(lambda mapping: [value for _, value in sorted(as_dict(mapping).items())], 1, 1),
}
