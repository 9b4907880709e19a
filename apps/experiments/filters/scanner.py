"""A filter's text cut into tokens, each knowing where it begins."""

import re
from dataclasses import dataclass

from apps.experiments.exceptions import FilterInvalid

MAX_TEXT = 4000
OPERATORS = ("!=", "<=", ">=", "<>", "==", "=", "<", ">")
# What a word ends at; all else may be part of one, so that `val/acc`, `a-b` and `0.5` need no quotes.
WORD = re.compile(r"""[^\s()'"`,=<>!]+""")
SPACE = re.compile(r"\s+")
QUOTES = "'\"`"


@dataclass(frozen=True)
class Token:
    """`kind`: word, quoted, operator, "(", ")", "," or end. A quoted token knows its `mark`.

    `prefix` is the word that stands before a quoted key without a gap: `metrics.` of metrics.`a b`.
    """

    kind: str
    text: str
    start: int
    end: int
    mark: str = ""
    prefix: str = ""

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.lower() in words


def tokens_of(text: str) -> list[Token]:
    """Raises `FilterInvalid` for what no filter may hold."""
    if len(text) > MAX_TEXT:
        raise FilterInvalid(f"A filter has at most {MAX_TEXT} characters.", position=MAX_TEXT)
    for index, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            raise FilterInvalid("This character cannot be part of a filter.", position=index)
    found: list[Token] = []
    at = 0
    while at < len(text):
        if gap := SPACE.match(text, at):
            at = gap.end()
            continue
        token = _token(text, at)
        found.append(token)
        at = token.end
    return [*found, Token("end", "", len(text), len(text))]


def _token(text: str, at: int) -> Token:
    character = text[at]
    if character in "(),":
        return Token(character, character, at, at + 1)
    if character in QUOTES:
        return _quoted(text, at)
    for operator in OPERATORS:
        if text.startswith(operator, at):
            return Token("operator", {"<>": "!=", "==": "="}.get(operator, operator), at, at + len(operator))
    word = WORD.match(text, at)
    if word is None:
        raise FilterInvalid('A "!" belongs before "=": != means differs from.', position=at)
    end = word.end()
    if word.group().endswith(".") and end < len(text) and text[end] in QUOTES:
        key = _quoted(text, end)
        return Token("quoted", key.text, at, key.end, mark=key.mark, prefix=word.group())
    return Token("word", word.group(), at, end)


def _quoted(text: str, at: int) -> Token:
    """From a quote to the next single one of its kind; a doubled one is the character itself."""
    mark, pieces, place = text[at], [], at + 1
    while True:
        end = text.find(mark, place)
        if end < 0:
            raise FilterInvalid(f"This {mark} is not closed.", position=at)
        pieces.append(text[place:end])
        if not text.startswith(mark, end + 1):
            break
        pieces.append(mark)
        place = end + 2
    token = Token("quoted", "".join(pieces), at, end + 1, mark=mark)
    # `metrics`.acc and `params`.`a b`: the kind may stand in backticks too.
    if mark == "`" and text.startswith(".", end + 1):
        rest = _token(text, end + 2) if end + 2 < len(text) else None
        if rest is not None and not rest.prefix and rest.kind in {"word", "quoted"}:
            kind = "quoted"
            return Token(kind, rest.text, at, rest.end, mark=rest.mark or "`", prefix=f"{token.text}.")
    return token
