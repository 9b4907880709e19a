"""Files the agent owns, written atomically; trees that strangers may have filled are the matter of `trees`."""

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


def directory_private(path: Path, mode: int = 0o700) -> Path:
    """Make `path` (and its parents) and give it `mode`, whatever the umask says."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(mode)
    return path


def text_write(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Replace `path` in one step: a reader sees the old text or the new, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def json_write(path: Path, value: Any, *, mode: int = 0o600) -> None:
    text_write(path, json.dumps(value, separators=(",", ":"), sort_keys=True), mode=mode)


def json_read(path: Path) -> Any | None:
    """The value in `path`; None when there is no such file or it holds no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
        return None


def names_in(path: Path) -> list[str]:
    """Sorted names in a directory, hidden ones left out; empty when it does not exist."""
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
