"""Whole trees a stranger may have filled: measured, given away and deleted without being led astray.

Nobody's links are followed, and no depth is too great: a path is never built, a tree is walked by one open directory at
a time, down by name and up by "..". A directory that was moved meanwhile is noticed by its device and inode number.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ABOUT = ".deleted-", ".creating-"


class TreeMoved(OSError):
    """A directory was moved away while the walk was below it."""


@dataclass
class _Level:
    """A directory on the way down: where it is, what its name was, and which directories in it are still to come."""

    name: str
    identity: tuple[int, int]
    left: list[str] = field(default_factory=list)


def _identity(handle: int) -> tuple[int, int]:
    found = os.fstat(handle)
    return found.st_dev, found.st_ino


def tree_walk(
    top: Path,
    *,
    entry: Callable[[int, str, os.stat_result], None],
    enter: Callable[[int], None] = lambda handle: None,
    leave: Callable[[int, str], None] = lambda handle, name: None,
    opened: Callable[[int, str], int] | None = None,
) -> None:
    """Call `enter(handle)` for each directory, `entry(handle, name, stat)` for all else in it (links are entries), and
    `leave(parent handle, name)` when a directory below `top` is done. Stays on one file system.

    What vanishes meanwhile is passed over. Raises TreeMoved where the way back was cut off.
    """
    step = opened or (lambda handle, name: os.open(name, _OPEN, dir_fd=handle))
    handle = os.open(top, _OPEN)
    try:
        device = _identity(handle)[0]
        levels = [_Level("", _identity(handle), _look(handle, device, entry, enter))]
        while True:
            level = levels[-1]
            if level.left:
                name = level.left.pop()
                try:
                    below = step(handle, name)
                except OSError:
                    continue
                os.close(handle)
                handle = below
                levels.append(_Level(name, _identity(handle), _look(handle, device, entry, enter)))
                continue
            levels.pop()
            if not levels:
                return
            above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=handle)
            os.close(handle)
            handle = above
            if _identity(handle) != levels[-1].identity:
                raise TreeMoved(f"a directory of {top} was moved away during the walk")
            leave(handle, level.name)
    finally:
        os.close(handle)


def _look(
    handle: int, device: int, entry: Callable[[int, str, os.stat_result], None], enter: Callable[[int], None]
) -> list[str]:
    """Tell of everything in a directory; the names of the directories in it."""
    enter(handle)
    directories = []
    try:
        with os.scandir(handle) as entries:
            for found in entries:
                try:
                    status = found.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if status.st_dev == device:
                        directories.append(found.name)
                else:
                    entry(handle, found.name, status)
    except PermissionError:
        pass  # An ordinary user's agent cannot look into what its own service has shut; the disk's free space tells.
    return directories


def tree_used_bytes(top: Path) -> int:
    """Bytes on disk below `top`, a file with several names counted once; what was counted so far where it moves."""
    total = 0
    counted: set[int] = set()

    def entry(handle: int, name: str, status: os.stat_result) -> None:
        nonlocal total
        if status.st_nlink > 1:
            if status.st_ino in counted:
                return
            counted.add(status.st_ino)
        total += status.st_blocks * 512

    with contextlib.suppress(TreeMoved, FileNotFoundError, NotADirectoryError):
        tree_walk(top, entry=entry)
    return total


def tree_owner_set(top: Path, uid: int, gid: int) -> None:
    """Give `top` and what is in it to `uid`, links themselves and not what they point at."""
    tree_walk(
        top,
        entry=lambda handle, name, status: os.chown(name, uid, gid, dir_fd=handle, follow_symlinks=False),
        enter=lambda handle: os.fchown(handle, uid, gid),
    )


def tree_remove(top: Path) -> None:
    """Delete `top` and everything in it, never what a link in it points at.

    The tree is moved aside first: its name is free at once and a crash leaves only a hidden rest (`tree_rests_remove`).
    Directories without write permission, which package managers like to leave, are opened up.
    """
    try:
        mode = os.lstat(top).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        top.unlink()
        return
    if not top.name.startswith(".deleted-"):
        aside = Path(tempfile.mkdtemp(dir=top.parent, prefix=f".deleted-{top.name[:100]}-"))
        os.replace(top, aside)
        top = aside
    with contextlib.suppress(OSError):
        top.chmod(0o700)  # No link: it was a directory, and lies in a directory of ours.
    tree_walk(top, entry=_unlink, leave=_rmdir, opened=_open_shut)
    os.rmdir(top)


def _unlink(handle: int, name: str, _status: os.stat_result) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=handle)


def _rmdir(handle: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=handle)


def _open_shut(handle: int, name: str) -> int:
    """Open a directory to empty it, its mode changed first through a handle that follows no link."""
    pinned = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
    try:
        with contextlib.suppress(OSError):
            os.chmod(f"/proc/self/fd/{pinned}", 0o700)
        return os.open(f"/proc/self/fd/{pinned}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(pinned)


def tree_rests_remove(parent: Path) -> None:
    """End what a crash interrupted in `parent`: deletions and creations that were under way."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(parent):
            if name.startswith(_ABOUT):
                tree_remove(parent / name)
