"""Regular expressions of Terraform (Go's RE2) on Python's `re`, where both certainly mean the same.

Source: https://github.com/google/re2/wiki/Syntax. What differs is translated (`$`, `\\s`, `\\z`, POSIX classes) or is
refused as `Unsupported`: Unicode classes, flags other than i and s, and everything Go does not know. Python backtracks:
patterns with a repeat inside a repeat are tried on short texts only: nobody may stop the web process with a long input.
"""

import re
import warnings
from functools import lru_cache
from re import _constants as sre  # the pattern's syntax tree, to see nested repeats
from re import _parser as sre_parser
from typing import Any

from apps.catalog.interface.values import EvaluationError, Unsupported

MAX_TEXT = 2_000
MAX_TEXT_NESTED = 20

_POSIX = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "digit": "0-9",
    "lower": "a-z",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
    "space": "\\t\\n\\v\\f\\r ",
    "word": "0-9A-Za-z_",
}
# Escapes that mean the same in both, given re.ASCII. A backslash before punctuation makes it literal in both.
_SAME_ESCAPES = frozenset("dDwWbBAtnrfv")
_TOKEN = re.compile(
    r"""(?P<posix>\[:(?P<not>\^?)(?P<name>[a-z]+):\])
      | \\(?P<escape>.)
      | (?P<group>\(\?)(?P<kind>P<\w+>|:|[ims]+\)|[ims]+:)?
      | (?P<repeat>\{\d*,?\d*\})
      | (?P<plus>[*+?}]\+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)


def pattern_find(pattern: str, text: str) -> re.Match[str] | None:
    """The first match. Raises `EvaluationError` for a pattern Go refuses, `Unsupported` where Python may differ."""
    compiled, nested = _compiled(pattern)
    if len(text) > (MAX_TEXT_NESTED if nested else MAX_TEXT):
        raise Unsupported("pattern on a long text")
    if compiled.flags & re.IGNORECASE and not text.isascii():
        raise Unsupported("case of letters outside of ASCII")
    return compiled.search(text)


def pattern_captures(match: re.Match[str]) -> Any:
    """What `regex` returns: the match, or its groups as a list, or its named groups as a map."""
    if match.re.groupindex:
        if len(match.re.groupindex) != match.re.groups:
            raise EvaluationError("named and unnamed groups cannot be mixed")
        return match.groupdict()
    return list(match.groups()) if match.re.groups else match.group()


def pattern_find_all(pattern: str, text: str) -> list[Any]:
    first = pattern_find(pattern, text)
    if first is None:
        return []
    return [pattern_captures(match) for match in first.re.finditer(text)]


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> tuple[re.Pattern[str], bool]:
    translated = _translated(pattern)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = re.compile(translated, re.ASCII)
            tree = sre_parser.parse(translated, re.ASCII)
    except (re.error, Warning, OverflowError, RecursionError):
        raise Unsupported("pattern that Python does not read") from None
    return compiled, _repeats_nested(tree, within=False)


def _translated(pattern: str) -> str:
    """Go's syntax as Python's."""
    if len(pattern) > 1_000:
        raise Unsupported("long pattern")
    out: list[str] = []
    in_class = False
    for match in _TOKEN.finditer(pattern):
        text = match.group()
        if match["posix"] and in_class:
            if match["not"] or match["name"] not in _POSIX:
                raise Unsupported("character class")
            out.append(_POSIX[match["name"]])
        elif match["escape"]:
            out.append(_escape(match["escape"], in_class=in_class))
        elif in_class:
            # "[a[b]" and "[a&&b]" warn in Python: literal brackets and set signs get a backslash.
            in_class = text != "]" or out[-1] in {"[", "[^"}
            out.append("\\" + text if text in {"[", "&", "|", "~"} else text)
        else:
            in_class = text == "["
            out.append(_outside_class(match, text))
        if in_class and out[-1] == "^" and out[-2:-1] == ["["]:
            out[-2:] = ["[^"]
    return "".join(out)


def _escape(letter: str, *, in_class: bool) -> str:
    if letter == "s":
        return "\\t\\n\\f\\r " if in_class else "[\\t\\n\\f\\r ]"
    if letter == "S" and not in_class:
        return "[^\\t\\n\\f\\r ]"
    if letter == "z" and not in_class:
        return "\\Z"
    if letter in _SAME_ESCAPES and not (in_class and letter in "bBA"):
        return "\\" + letter
    if letter.isascii() and not letter.isalnum():
        return "\\" + letter
    raise Unsupported(f"escape \\{letter}")


def _outside_class(match: re.Match[str], text: str) -> str:
    if match["posix"] or match["plus"] or (match["group"] and not match["kind"]):
        raise Unsupported("pattern syntax that only one of both has")
    if match["kind"] and "m" in match["kind"].split("<")[0]:
        raise Unsupported("flag m")  # where $ means something else
    if match["repeat"] and (text.startswith("{,") or text == "{}"):
        raise Unsupported("repeat without a lower bound")
    return "\\Z" if text == "$" else text


def _repeats_nested(tree: Any, *, within: bool) -> bool:
    """Whether an unbounded repeat stands inside another one, which can make backtracking exponential."""
    for operation, argument in tree:
        unbounded = False
        children: list[Any] = []
        if operation in {sre.MAX_REPEAT, sre.MIN_REPEAT}:
            _, most, inner = argument
            unbounded, children = most > 8, [inner]
        elif operation is sre.SUBPATTERN:
            children = [argument[-1]]
        elif operation is sre.BRANCH:
            children = argument[1]
        if unbounded and within:
            return True
        if any(_repeats_nested(child, within=within or unbounded) for child in children):
            return True
    return False
