"""What is wrong with a module, said so that its author can mend it."""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

from apps.core.exceptions import InvalidInput


@dataclass(frozen=True)
class Problem:
    """One finding in a module directory: where, and a sentence that says what to do."""

    file: str
    message: str
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.message}"


class ModuleInvalid(InvalidInput):
    """The directory is not a module that Slipway can offer; `problems` holds every finding, not only the first."""

    code: ClassVar[str] = "catalog:module-invalid"
    title: ClassVar[str] = "The module cannot be registered as it is"

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        errors: dict[str, list[str]] = {}
        for problem in problems:
            errors.setdefault(problem.file, []).append(problem.message)
        super().__init__("\n".join(str(problem) for problem in problems), errors=errors)


class Findings:
    """Collects problems while a module is read, so that its author sees all of them at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.advice: list[Problem] = []

    def advise(self, file: str, message: str, line: int | None = None) -> None:
        """Something that would make the module better for people, and that does not keep it from being used."""
        self.advice.append(Problem(file, message, line))

    def add(self, file: str, message: str, line: int | None = None) -> None:
        self.problems.append(Problem(file, message, line))

    def raise_if_any(self) -> None:
        if self.problems:
            raise ModuleInvalid(self.problems)


def did_you_mean(word: Any, known: Any) -> str:
    """A hint to append to "there is no such ...": the closest known word, else the list of them, else nothing."""
    known = sorted(str(item) for item in known)
    close = get_close_matches(str(word), known, n=1, cutoff=0.6)
    if close:
        return f" Did you mean “{close[0]}”?"
    if known and len(known) <= 12:
        return f" Known: {', '.join(known)}."
    return ""
