"""What Terraform is given of variable sets, and every spelling in which a program could repeat a secret of it."""

import json
import re
from dataclasses import dataclass, field
from typing import Any

# Shorter ones stand in too many innocent places to be masked.
SHORTEST_SECRET = 6
ASSIGNED = re.compile(r"^[^=:\s][^=:]{0,80}[=:]\s*(\S.*)$")


@dataclass(frozen=True)
class GivenFile:
    """A file of this name, and the variable of the environment that holds its path."""

    name: str
    environment_variable: str
    content: str


@dataclass(frozen=True)
class Given:
    """`secrets` are the texts to mask, retired ones among them; `set_names` says where it all comes from."""

    environment: dict[str, str] = field(default_factory=dict)
    files: list[GivenFile] = field(default_factory=list)
    terraform: dict[str, Any] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    set_names: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        """Without values: what is printed in a traceback or a log is read by people."""
        return f"Given({len(self.environment)} of environment, {len(self.files)} files, {len(self.terraform)} values)"


def secret_texts(value: Any) -> set[str]:
    """The texts inside a secret that mean something alone: strings of JSON, values of a credentials file."""
    found: set[str] = set()
    _collect(value, found)
    return {text for text in found if len(text) >= SHORTEST_SECRET}


def _collect(value: Any, into: set[str]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, into)
    elif isinstance(value, list):
        for item in value:
            _collect(item, into)
    elif isinstance(value, str):
        into.add(value)
        into.add(value.strip())
        if "\n" in value or value.lstrip().startswith(("{", "[")):
            _collect_document(value, into)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        into.add(str(value))


def _collect_document(text: str, into: set[str]) -> None:
    """A key file is repeated in parts: what stands in quotation marks, or behind an equals sign."""
    try:
        document = json.loads(text)
    except ValueError:
        for line in text.splitlines():
            if told := ASSIGNED.match(line.strip()):
                into.add(told[1].strip().strip("\"'"))
        return
    if isinstance(document, dict | list):
        _collect(document, into)
