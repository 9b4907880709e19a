"""JSON that the database, Terraform and every later reader can hold: bounded, and free of what only JSON can say."""

import math
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

BODY_BYTES = 2_000_000
DEPTH = 32
VALUES = 20_000
LARGEST = 2**63 - 1


class TooLargeToParse(ParseError):
    status_code = 413
    default_detail = f"The request is larger than {BODY_BYTES // 1_000_000} MB."
    default_code = "core:too-large"


class BoundedJSONParser(JSONParser):
    """Refuses with 400: not UTF-8, NaN, NUL, half surrogate pairs, numbers beyond 64 bits, deep or endless nesting.

    PostgreSQL takes none of the first four, and Terraform's state none of the fifth.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        bounded = _Bounded(stream)
        try:
            data = super().parse(bounded, media_type, parser_context)  # type: ignore[arg-type]
        except RecursionError:
            raise ParseError(f"The JSON is nested more than {DEPTH} deep.") from None
        if problem := json_problem(data):
            raise ParseError(problem)
        return data


class _Bounded:
    """A stream that is read up to the limit; REST framework reads past Django's own."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream = stream
        self._read = 0

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._stream.read(BODY_BYTES + 1 if size is None or size < 0 else size)
        self._read += len(data)
        if self._read > BODY_BYTES:
            raise TooLargeToParse
        return data


def json_problem(data: Any) -> str:
    """What is wrong with parsed JSON, or nothing. Walks without recursion."""
    seen, level = 0, [data]
    for _ in range(DEPTH):
        deeper: list[Any] = []
        for value in level:
            if problem := _value_problem(value):
                return problem
            if isinstance(value, dict):
                deeper += [*value, *value.values()]
            elif isinstance(value, list):
                deeper += value
        seen += len(deeper)
        if seen > VALUES:
            return f"The JSON holds more than {VALUES} values."
        if not deeper:
            return ""
        level = deeper
    return f"The JSON is nested more than {DEPTH} deep."


def _value_problem(value: Any) -> str:
    if isinstance(value, str):
        if "\x00" in value:
            return "A text holds a NUL character."
        # Half of a character: no encoding can write it down.
        return "A text holds half of a surrogate pair." if not value.isascii() and not _is_writable(value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else "A number is too large."
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        return "A number is too large."
    return ""


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
