"""Files the agent owns: atomic writes, and the safe handling of trees a stranger may have filled."""

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SHUT_LEVELS = 100  # Each pass over a tree opens at least one level of directories that were shut.


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


def tree_used_bytes(top: Path) -> int:
    """Bytes on disk below `top`. Walks by directory handles, so a link planted meanwhile leads nowhere."""
    total = 0
    counted: set[tuple[int, int]] = set()
    for _path, _directories, files, handle in os.fwalk(top, follow_symlinks=False):
        for name in files:
            try:
                entry = os.stat(name, dir_fd=handle, follow_symlinks=False)
            except OSError:
                continue
            if entry.st_nlink > 1:
                if (entry.st_dev, entry.st_ino) in counted:
                    continue
                counted.add((entry.st_dev, entry.st_ino))
            total += entry.st_blocks * 512
    return total


def tree_owner_set(top: Path, uid: int, gid: int) -> None:
    """Give `top` and what is in it to `uid`, links themselves and not what they point at."""
    for _path, directories, files, handle in os.fwalk(top, follow_symlinks=False):
        os.fchown(handle, uid, gid)
        for name in [*directories, *files]:
            os.chown(name, uid, gid, dir_fd=handle, follow_symlinks=False)


def tree_remove(top: Path) -> None:
    """Delete `top` and everything in it, never what a link in it points at.

    The tree is moved aside first: its name is free at once and a crash leaves only a hidden rest (`tree_rests_remove`).
    Directories without write permission, which package managers like to leave, are opened up and tried again.
    """
    if not shutil.rmtree.avoids_symlink_attacks:
        raise RuntimeError("this platform cannot delete a directory without following links planted in it")
    try:
        mode = os.lstat(top).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        top.unlink()
        return
    if not top.name.startswith(".deleted-"):
        aside = Path(tempfile.mkdtemp(dir=top.parent, prefix=f".deleted-{top.name}-"))
        os.replace(top, aside)
        top = aside
    for _level in range(_SHUT_LEVELS):
        shutil.rmtree(top, onerror=_retry_writable)
        if not top.exists():
            return
    shutil.rmtree(top)


def _retry_writable(function: Callable[..., Any], path: str, error: Any) -> None:
    """rmtree's error hook: make the containing directory ours again, for the next pass.

    Modes are changed through a handle opened without following links.
    """
    if isinstance(error[1], FileNotFoundError):
        return
    for candidate in (os.path.dirname(path), path):
        with contextlib.suppress(OSError):
            handle = os.open(candidate, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.chmod(f"/proc/self/fd/{handle}", 0o700)
            finally:
                os.close(handle)


def tree_rests_remove(parent: Path) -> None:
    """End what a crash interrupted in `parent`: deletions and creations that were under way."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(parent):
            if name.startswith((".deleted-", ".creating-")):
                tree_remove(parent / name)
