"""Reading rules before they are stored: what the interpreter would pass over in silence is said here, with its place.

An unknown name is undefined in Rego, and a rule that is undefined denies nothing: a misspelt `input` or a function that
is not there would be a rule that never holds.
"""

import re
from dataclasses import dataclass
from functools import cache

from apps.policies.rego import EFFECTS, Question, rego_ask

MAX_REGO = 64 * 1024
CHECK_SECONDS = 5.0

_SKIP = re.compile(r'#[^\n]*|"(?:\\.|[^"\\\n])*"|`[^`]*`')
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_DEFINED = re.compile(r"^\s*(?:default\s+)?([A-Za-z_]\w*)", re.MULTILINE)
_IMPORT = re.compile(r"^\s*import\s+([\w.]+)(?:\s+as\s+(\w+))?", re.MULTILINE)
_PACKAGE = re.compile(r"^\s*package\s+([\w.]+)", re.MULTILINE)
_KEYWORDS = frozenset(
    {"as", "contains", "data", "default", "else", "every", "false", "if", "import", "in", "input", "not", "null"}
    | {"package", "set", "some", "true", "with"}
)
# Built-ins that reach outside of what a rule is asked about.
_OUTSIDE = ("http.", "net.", "opa.", "rego.", "providers.", "trace", "print")
LOOKS_OUTSIDE = "“{name}” is not available: a rule looks at its input only."


@dataclass(frozen=True)
class RegoProblem:
    """What is wrong with rules; `line` and `column` count from 1, or are 0 where it is about the whole."""

    message: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"Line {self.line}, column {self.column}: {self.message}" if self.line else self.message


def rego_problems(rego: str) -> list[RegoProblem]:
    """Everything that keeps rules from being stored; empty where they are fine."""
    if not rego.strip():
        return [RegoProblem("Write the rules.")]
    if len(rego.encode()) > MAX_REGO:
        return [RegoProblem(f"Rules may have at most {MAX_REGO // 1024} KB.")]
    bare = _SKIP.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), rego)
    if problems := [*_package(bare), *_names(bare)]:
        return problems[:10]
    answer = rego_ask([Question(rego, {"plan": {}, "request": {}})], seconds=CHECK_SECONDS)[0]
    if answer.error:
        return [RegoProblem(answer.error, answer.line, answer.column)]
    return _effects(bare)


def _package(bare: str) -> list[RegoProblem]:
    found = _PACKAGE.search(bare)
    if found and found[1] == "slipway":
        return []
    told = f"The package is “{found[1]}”. " if found else ""
    return [_at(bare, found.start(1) if found else 0, f"{told}Begin with: package slipway")]


def _names(bare: str) -> list[RegoProblem]:
    """Functions that are not there, and names that nothing gives a value."""
    defined = set(_DEFINED.findall(bare)) | {alias or path.split(".")[-1] for path, alias in _IMPORT.findall(bare)}
    words: dict[str, int] = {}
    for word in re.findall(r"(?<![\w.])[A-Za-z_]\w*", bare):
        words[word] = words.get(word, 0) + 1
    problems = []
    for found in _NAME.finditer(bare):
        name, head = found[0], found[0].partition(".")[0]
        line = bare[bare.rfind("\n", 0, found.start()) + 1 : found.start()].strip()
        if head in _KEYWORDS or line in ("import", "package"):
            continue
        behind = bare[found.end() : found.end() + 1]
        if behind == "(":
            if head not in defined and (message := _function(name)):
                problems.append(_at(bare, found.start(), message))
        elif ("." in name or behind == "[") and words[head] == 1 and head not in defined:
            problems.append(_at(bare, found.start(), f"Nothing gives “{head}” a value. Is it “input” that is meant?"))
    return problems


def _function(name: str) -> str:
    if name.startswith(_OUTSIDE):
        return LOOKS_OUTSIDE.format(name=name)
    return "" if _is_builtin(name) else f"There is no function “{name}”."


@cache
def _is_builtin(name: str) -> bool:
    from regopy import Interpreter

    # Looks a name up in a table: nothing is evaluated, so it need not be done in another process.
    return name == "contains" or bool(Interpreter().is_builtin(name))


def _effects(bare: str) -> list[RegoProblem]:
    names = "|".join(EFFECTS)
    found = list(re.finditer(rf"^\s*({names})\b[^\S\n]*(\w*)", bare, re.MULTILINE))
    if not found:
        return [RegoProblem("It says nothing: define deny or warn, as in: deny contains {…} if {…}")]
    return [
        _at(bare, rule.start(1), f"“{rule[1]}” has to be a set: write {rule[1]} contains {{…}} if {{…}}.")
        for rule in found
        if rule[2] != "contains"
    ]


def _at(text: str, offset: int, message: str) -> RegoProblem:
    before = text[:offset]
    return RegoProblem(message, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
