"""Reads a filter into a tree, by recursive descent; an error knows the character it is about."""

import difflib
import math
from collections.abc import Callable
from typing import NoReturn

from django.utils import timezone

from apps.experiments.exceptions import FilterInvalid
from apps.experiments.filters.fields import ATTRIBUTES, DATASET_KEYS, KINDS, attribute_named
from apps.experiments.filters.nodes import (
    KEYWORDS,
    All,
    AnyOf,
    Comparison,
    Field,
    Kind,
    Moment,
    Node,
    Not,
    Span,
    Value,
    Words,
)
from apps.experiments.filters.scanner import Token, tokens_of
from apps.experiments.filters.values import number_read, period_of, span_read
from apps.experiments.models import Run

MAX_TERMS = 100
MAX_DEPTH = 40
MAX_MOMENT_WORDS = 6
ORDERED = frozenset({"<", "<=", ">", ">="})
TEXT_ONLY = frozenset({"LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE"})


def filter_parse(text: str) -> Node:
    """The tree of a filter; empty text is everything. Raises `FilterInvalid` with the position of what is wrong."""
    return _Parser(tokens_of(text)).whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.at, self.terms, self.depth = tokens, 0, 0, 0

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def after(self, count: int = 1) -> Token:
        return self.tokens[min(self.at + count, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.next
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def fail(self, message: str, token: Token | None = None) -> NoReturn:
        raise FilterInvalid(message, position=(token or self.next).start)

    # What is joined

    def whole(self) -> Node:
        if self.next.kind == "end":
            return All()
        node = self.any_of()
        if self.next.kind == ")":
            self.fail('This ")" closes nothing.')
        if self.next.kind != "end":
            self.fail(f"No {self.next.text} is expected here.")
        return node

    def any_of(self) -> Node:
        return self._joined(self.all_of, AnyOf, lambda: self.next.says("or"))

    def all_of(self) -> Node:
        return self._joined(self.term, All, self._goes_on)

    def _goes_on(self) -> bool:
        """Whether another term follows, behind AND or behind nothing."""
        return self.next.kind not in {"end", ")", ","} and not self.next.says("or")

    def _joined(self, part: Callable[[], Node], join: type[All] | type[AnyOf], goes_on: Callable[[], bool]) -> Node:
        parts = [part()]
        while goes_on():
            if self.next.says("and", "or"):
                self.take()
            parts.append(part())
        # (a AND b) AND c is a AND b AND c.
        flat = [inner for one in parts for inner in (one.parts if isinstance(one, join) else (one,))]
        return flat[0] if len(flat) == 1 else join(tuple(flat))

    def term(self) -> Node:
        token = self.next
        self.terms += 1
        if self.terms > MAX_TERMS:
            self.fail(f"A filter has at most {MAX_TERMS} terms.")
        if token.kind == "end":
            self.fail("Something is missing here: a comparison or a word.")
        if token.says("not"):
            self.take()
            return Not(self._deeper(self.term))
        if token.kind == "(":
            return self._parentheses()
        if token.kind == "operator":
            self.fail(f"Before {token.text} stands what is compared, for example metrics.auc {token.text} 0.9.")
        if token.kind not in {"word", "quoted"} or token.says(*KEYWORDS):
            self.fail(f"A comparison or a word is expected here, not {token.text}.")
        return self._comparison() if self._compares() else self._words()

    def _parentheses(self) -> Node:
        opened = self.take()
        if self.next.kind == ")":
            self.fail("There is nothing between these parentheses.", opened)
        node = self._deeper(self.any_of)
        if self.next.kind == "end":
            self.fail('This "(" is not closed.', opened)
        if self.next.kind != ")":
            self.fail(f"No {self.next.text} is expected here.")
        self.take()
        return node

    def _deeper(self, part: Callable[[], Node]) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.fail("The parentheses are nested too deep.")
        node = part()
        self.depth -= 1
        return node

    # One term

    def _compares(self) -> bool:
        """Whether the token is what is compared, or else a word to be looked for."""
        if self.next.says("run") and self.after().says("name") and self.after(2).kind == "operator":
            return True
        if self.next.prefix or _kind_of(self.next):
            return True
        return self._is_operator(1)

    def _is_operator(self, ahead: int) -> bool:
        first, second = self.after(ahead), self.after(ahead + 1)
        if first.kind == "operator":
            return True
        if first.says("like", "ilike"):
            return second.kind in {"quoted", "word"}
        if first.says("is"):
            return second.says("null") or (second.says("not") and self.after(ahead + 2).says("null"))
        if first.says("in"):
            return second.kind == "("
        return first.says("not") and second.says("in", "like", "ilike")

    def _words(self) -> Words:
        token = self.take()
        if not token.text.strip():
            self.fail("There is nothing between these quotes.", token)
        if token.mark == "`":
            self.fail(f"After {token.text[:40]} an operator is expected, for example =.", token)
        return Words(token.text, token.start)

    def _comparison(self) -> Comparison:
        begin = self.next.start
        token = self.take()
        if token.says("run") and self.next.says("name"):
            self.take()
            field = Field(Kind.ATTRIBUTE, "run_name")
        else:
            field = self._field(token)
        operator, at = self._operator(field)
        if operator in {"IS NULL", "IS NOT NULL"}:
            if field.kind is Kind.DATASET:
                self.fail("A data set is asked for by =, !=, LIKE or IN.", at)
            return Comparison(field, operator, None, begin)
        if operator in {"IN", "NOT IN"}:
            return Comparison(field, operator, self._list(field, operator), begin)
        return Comparison(field, operator, self._value(field, operator), begin)

    def _field(self, token: Token) -> Field:
        kind, name = _kind_of(token), token.text
        if token.prefix and kind is None:
            self.fail(f"{token.prefix} is none of metrics, params, tags, datasets and attributes.", token)
        if kind is None:
            kind, key = Kind.ATTRIBUTE, name
        else:
            key = name if token.prefix else name.partition(".")[2]
        if not key:
            self.fail(f"The name is missing after {token.text}", token)
        if kind is Kind.ATTRIBUTE:
            return Field(kind, attribute_named(key) or self._unknown(key, token))
        if kind is Kind.DATASET and key not in DATASET_KEYS:
            self.fail(f"A data set has {', '.join(DATASET_KEYS[:-1])} and {DATASET_KEYS[-1]}, no {key[:40]}.", token)
        return Field(kind, key)

    def _unknown(self, key: str, token: Token) -> NoReturn:
        if key == "artifact_uri":
            self.fail("The address of artifacts is not in the index, so lists cannot be filtered by it.", token)
        near = difflib.get_close_matches(key, ATTRIBUTES, n=1)
        hint = (
            f" Do you mean {near[0]}?" if near else f" Write metrics.{key[:40]}, params.{key[:40]} or tags.{key[:40]}."
        )
        self.fail(f"A run has no {key[:40]}.{hint}", token)

    def _operator(self, field: Field) -> tuple[str, Token]:
        token = self.next
        if not self._is_operator(0):
            self.fail(f"After {str(field)[:60]} an operator is expected: =, !=, <, >, LIKE, IN or IS NULL.")
        words = [self.take().text.upper()]
        if words[0] in {"IS", "NOT"}:
            words.append(self.take().text.upper())
        if words == ["IS", "NOT"]:
            words.append(self.take().text.upper())
        operator = " ".join(words)
        numeric = field.kind is Kind.METRIC or _takes(field) in {"number", "span", "moment"}
        if operator in TEXT_ONLY and numeric:
            self.fail(f"{operator} is for texts; {str(field)[:60]} is compared by =, !=, <, <=, > or >=.", token)
        return operator, token

    # Values

    def _list(self, field: Field, operator: str) -> tuple[Value, ...]:
        opened = self.take()
        items: list[Value] = []
        while True:
            if self.next.kind == ")" and items:
                break
            items.append(self._value(field, operator))
            if self.next.kind != ",":
                break
            self.take()
        if self.next.kind != ")":
            self.fail('A "," or the closing ")" is expected here.', None if self.next.kind != "end" else opened)
        self.take()
        return tuple(items)

    def _value(self, field: Field, operator: str) -> Value:
        token = self.next
        if token.kind not in {"word", "quoted"} or token.prefix:
            self.fail(f"A value is expected here, to compare {str(field)[:60]} with.")
        if token.mark == "`":
            self.fail("Backticks are for names; write the value in 'quotes'.")
        takes = "number" if field.kind is Kind.METRIC else _takes(field)
        if takes == "moment":
            return self._moment()
        if takes in {"number", "span"}:
            return self._number(field, with_units=takes == "span")
        self.take()
        if field.kind is Kind.PARAM and not token.mark:
            number = number_read(token.text)
            if number is not None and math.isfinite(number) and operator not in TEXT_ONLY:
                return number
        if operator in ORDERED:
            example = "a number without quotes" if field.kind is Kind.PARAM else "= , != or LIKE: texts have no order"
            self.fail(f"{operator} takes {example}.", token)
        if operator in TEXT_ONLY and _ends_in_escape(token.text):
            self.fail("The pattern ends in a backslash that has nothing to protect; write it twice.", token)
        return _status(token) if field == Field(Kind.ATTRIBUTE, "status") and not token.mark else token.text

    def _number(self, field: Field, *, with_units: bool) -> Value:
        token = self.take()
        number = number_read(token.text)
        if number is not None and not token.mark:
            return number
        seconds = span_read(token.text) if with_units else None
        if seconds is None:
            example = "a length of time such as 90s, 10m or 2h" if with_units else "a number"
            self.fail(f"{str(field)[:60]} is compared with {example}, without quotes.", token)
        return Span(seconds)

    def _moment(self) -> Moment:  # noqa: RET503 - `fail` raises
        """As many words as make a moment together: "2026-11-03 14:00", "last 7 days"."""
        first, now = self.next, timezone.now()
        if first.mark:
            self.take()
            words = " ".join(first.text.split())
            if words and len(words.split(" ")) <= MAX_MOMENT_WORDS and period_of(words, now):
                return Moment(words)
        for count in range(MAX_MOMENT_WORDS, 0, -1):
            taken = [self.after(ahead) for ahead in range(count)]
            words = " ".join(token.text for token in taken)
            if all(token.kind == "word" for token in taken) and not first.mark and period_of(words, now):
                self.at += count
                return Moment(words)
        self.fail("A time is expected here: 2026-11-03, today, last 7 days, 3 h ago.", first)


def _kind_of(token: Token) -> Kind | None:
    """The kind that stands before the first dot, of `metrics.auc` and of metrics.`a b`."""
    if token.prefix:
        return KINDS.get(token.prefix.removesuffix("."))
    if token.kind != "word" or "." not in token.text:
        return None
    return KINDS.get(token.text.partition(".")[0])


def _takes(field: Field) -> str:
    return ATTRIBUTES[field.key].takes if field.kind is Kind.ATTRIBUTE else "text"


def _status(token: Token) -> str:
    """A status without quotes may be in any case."""
    upper = token.text.upper()
    return upper if upper in Run.Status.values else token.text


def _ends_in_escape(pattern: str) -> bool:
    return (len(pattern) - len(pattern.rstrip("\\"))) % 2 == 1
