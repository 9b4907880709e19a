"""Writing members of an archive below a folder, so that nothing in the archive leads anywhere else."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from portal.keeping.archive import CHUNK


class TreeWriter:
    """Directories get their modes at the end: a closed one could not be filled."""

    def __init__(self, top: Path) -> None:
        self._top = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        self._modes: list[tuple[tuple[str, ...], int]] = []

    def add(self, entry: tarfile.TarInfo, source: IO[bytes] | None, *, name: str) -> None:
        """`name` is where it goes below the top; the archive's reader has checked that it stays there."""
        parts = PurePosixPath(name).parts
        parent = self._directory(parts[:-1])
        try:
            if entry.isdir():
                os.close(_step(parent, parts[-1]))
                self._modes.append((parts, entry.mode))
            elif entry.issym():
                os.symlink(entry.linkname, parts[-1], dir_fd=parent)
            elif source is not None:
                _file_write(parent, parts[-1], entry, source)
        finally:
            os.close(parent)

    def close(self) -> None:
        for parts, mode in reversed(self._modes):
            handle = self._directory(parts)
            try:
                os.fchmod(handle, mode & 0o777)
            finally:
                os.close(handle)
        os.close(self._top)

    def _directory(self, parts: tuple[str, ...]) -> int:
        """A handle of the directory, made where it is missing. No step follows a link."""
        handle = os.dup(self._top)
        for part in parts:
            inner = _step(handle, part)
            os.close(handle)
            handle = inner
        return handle


def _step(parent: int, name: str) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
    except FileExistsError:
        pass
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)


def _file_write(parent: int, name: str, entry: tarfile.TarInfo, source: IO[bytes]) -> None:
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=parent)
    with os.fdopen(handle, "wb") as file:
        for block in _blocks(source):
            file.write(block)
        file.flush()
        os.fchmod(handle, entry.mode & 0o777)
        os.utime(handle, (entry.mtime, entry.mtime))


def _blocks(source: IO[bytes]) -> Iterator[bytes]:
    while block := source.read(CHUNK):
        yield block
