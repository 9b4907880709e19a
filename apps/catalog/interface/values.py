"""Values of the expression interpreter (null, bool, `Fraction`, str, list, dict) and how Terraform converts them."""

import re
import unicodedata
from decimal import Decimal
from fractions import Fraction
from typing import Any

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)


class EvaluationError(Exception):
    """Terraform itself would fail here; `can` and `try` catch it."""


class Unsupported(Exception):
    """Outside of what the portal evaluates: only Terraform knows."""


def to_engine(value: Any) -> Any:
    """A JSON value as the interpreter sees it."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, float):
        return Fraction(Decimal(repr(value)))
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, list):
        return [to_engine(item) for item in value]
    if isinstance(value, dict):
        return {key: to_engine(item) for key, item in value.items()}
    return value


def to_json_value(value: Any) -> Any:
    """The way back, for messages and tests."""
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    if isinstance(value, list):
        return [to_json_value(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json_value(item) for key, item in value.items()}
    return value


def as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise EvaluationError("a bool is required")


def as_number(value: Any) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return Fraction(Decimal(value))
    raise EvaluationError("a number is required")


def as_integer(value: Any) -> int:
    number = as_number(value)
    if number.denominator != 1:
        raise EvaluationError("a whole number is required")
    return int(number)


def as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction):
        return _number_text(value)
    raise EvaluationError("text is required")


def _number_text(value: Fraction) -> str:
    denominator = value.denominator
    for factor in (2, 5):
        while denominator % factor == 0:
            denominator //= factor
    if denominator != 1 or abs(value) >= 10**25:
        raise Unsupported("digits of a number without end")
    text = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def as_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise EvaluationError("a list is required")


def as_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise EvaluationError("a map is required")


def value_equal(left: Any, right: Any) -> bool:
    """`==`: values of different types are different. Collections are left to Terraform, where `list == []` is false."""
    if left is None or right is None:
        return left is right
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        raise Unsupported("comparing collections")
    return type(left) is type(right) and bool(left == right)


def text_length(text: str) -> int:
    """Characters as people count them (grapheme clusters), where that is certain."""
    if text.isascii() and "\r" not in text:
        return len(text)
    if any(character == "\r" or unicodedata.category(character) not in _SINGLE for character in text):
        raise Unsupported("length of composed characters")
    return len(text)


# Letters, digits, punctuation: categories whose characters stand alone once the text is in NFC. Scripts whose letters
# join into syllables (Hangul jamo and the like) come with marks or as Lo, so Lo is left to Terraform.
_SINGLE = frozenset({"Lu", "Ll", "Lt", "Nd", "Pd", "Ps", "Pe", "Po", "Pi", "Pf", "Sc", "Sm", "Zs"})
