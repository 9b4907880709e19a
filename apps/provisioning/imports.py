"""Taking over what exists: Terraform's `import` blocks, written so that nothing else can be written with them.

Source of the format: Terraform's "Import" language reference; `to` is a resource address, `id` text that its provider
understands.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Not `imports.tf`: a module may have a file of that name, and keeps it.
IMPORTS_FILE = "slipway-imports.tf"
MOST = 50
LONGEST_ADDRESS = 200
LONGEST_ID = 500

_NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
_KEY = r"\[(?:[0-9]{1,6}|\"[A-Za-z0-9_.:/@ -]{1,100}\")\]"
ADDRESS = re.compile(rf"(?:module\.{_NAME}(?:{_KEY})?\.)*(?!(?:module|data)\.){_NAME}\.{_NAME}(?:{_KEY})?", re.ASCII)


@dataclass(frozen=True)
class Import:
    """One existing thing: the address it gets in the state, and what its provider knows it by."""

    to: str
    id: str

    @property
    def problems(self) -> dict[str, str]:
        """What is wrong, by field; empty where nothing is."""
        found = {}
        if len(self.to) > LONGEST_ADDRESS or not ADDRESS.fullmatch(self.to):
            found["to"] = "Give the address of a resource, for example aws_s3_bucket.data."
        if not self.id.strip():
            found["id"] = "Give the id by which its provider knows it."
        elif len(self.id) > LONGEST_ID:
            found["id"] = f"At most {LONGEST_ID} characters."
        elif not self.id.isprintable():
            found["id"] = "Leave out line breaks and characters that cannot be seen."
        elif "${" in self.id or "%{" in self.id:
            found["id"] = "An id is plain text: leave out “${” and “%{”."
        return found


def imports_known(rows: Iterable[Mapping[str, Any]]) -> list[Import]:
    """Stored rows; raises `ValueError` for one that would not have been let in."""
    found = [Import(str(row["to"]), str(row["id"])) for row in rows]
    for wanted in found:
        if wanted.problems:
            raise ValueError(f"{wanted.to!r} cannot be taken over: {wanted.problems}")
    return found


def imports_write(work: Path, imports: Iterable[Import]) -> None:
    """Put the blocks beside the module's files, or take those of an earlier change away."""
    path = work / IMPORTS_FILE
    path.unlink(missing_ok=True)
    text = "".join(f"import {{\n  to = {wanted.to}\n  id = {quoted(wanted.id)}\n}}\n" for wanted in imports)
    if text:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)


def quoted(text: str) -> str:
    """A literal of Terraform's language: nothing in it is evaluated."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    return f'"{escaped}"'
