"""Archives of modules that people upload: unpacked with every limit held while reading, never after.

Nothing of an archive is trusted: not its names, not the sizes it declares, not its kinds of entries. What is refused
is named with its cure. `tarfile`'s and `zipfile`'s own extraction is not used.
"""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from apps.catalog.exceptions import ArchiveRefused

ARCHIVE_BYTES = 10 * 2**20
TOTAL_BYTES = 40 * 2**20
FILE_BYTES = 5 * 2**20
ENTRIES = 4_000
NAME_LENGTH = 240
DEPTH = 20
# A text compresses ten times, a very dull one forty; a bomb a thousand times.
RATIO = 150
RATIO_FROM = 2**20
CENTRAL_DIRECTORY_BYTES = 2**20
BLOCK = 64 * 1024
# What file managers put into archives beside what people chose.
IGNORED_TOPS = ("__MACOSX",)


def archive_unpack(archive: IO[bytes], target: Path) -> Path:
    """Write the files of a tar.gz or zip below `target`, which is empty; returns the folder the module begins in.

    That is the one folder everything lies in, where there is one. Raises `ArchiveRefused`.
    """
    size = _size(archive)
    if size == 0:
        raise ArchiveRefused("The archive is empty: choose a .tar.gz or .zip file.")
    if size > ARCHIVE_BYTES:
        raise ArchiveRefused(f"The archive is larger than {ARCHIVE_BYTES // 2**20} MB: leave data and binaries out.")
    head = archive.read(4)
    archive.seek(0)
    if head.startswith(b"\x1f\x8b"):
        reader = _tar_files
    elif head.startswith(b"PK"):
        reader = _zip_files
    else:
        raise ArchiveRefused("The file is neither a .tar.gz nor a .zip archive.")
    unpacking = _Unpacking(target, size)
    try:
        for name, content in reader(archive, unpacking):
            unpacking.write(name, content)
    except ArchiveRefused:
        raise
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, struct.error,
            NotImplementedError, RuntimeError, IndexError, KeyError, OverflowError):  # fmt: skip
        raise ArchiveRefused("The archive is broken or cut off: pack it again.") from None
    if not unpacking.names:
        raise ArchiveRefused("The archive holds no files.")
    return _root(target, unpacking.names)


def _size(archive: IO[bytes]) -> int:
    size = archive.seek(0, io.SEEK_END)
    archive.seek(0)
    return size


def _root(target: Path, names: set[str]) -> Path:
    tops = {PurePosixPath(name).parts[0] for name in names}
    only = next(iter(tops))
    return target / only if len(tops) == 1 and only not in names else target


@dataclass
class _Unpacking:
    """What has been written so far, held against the limits."""

    target: Path
    archive_bytes: int
    total: int = 0
    entries: int = 0
    names: set[str] = field(default_factory=set)

    def count(self) -> None:
        self.entries += 1
        if self.entries > ENTRIES:
            raise ArchiveRefused(f"The archive has more than {ENTRIES} entries: a module is a few files.")

    def grow(self, size: int) -> None:
        """`size` more bytes came out of the archive."""
        self.total += size
        if self.total > TOTAL_BYTES:
            raise ArchiveRefused(f"Unpacked, the archive is larger than {TOTAL_BYTES // 2**20} MB.")
        if self.total > RATIO_FROM and self.total > RATIO * self.archive_bytes:
            raise ArchiveRefused("The archive unpacks to many times its size: it looks like a bomb and was not opened.")

    def write(self, name: str, content: IO[bytes]) -> None:
        parts = _parts(name)
        if parts[0] in IGNORED_TOPS or ".git" in parts:
            return
        clean = "/".join(parts)
        if clean in self.names:
            raise ArchiveRefused(f"The archive holds “{_shown(clean)}” twice.")
        self.names.add(clean)
        path = self.target.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                written = 0
                while block := content.read(BLOCK):
                    written += len(block)
                    if written > FILE_BYTES:
                        raise ArchiveRefused(f"“{_shown(clean)}” is larger than {FILE_BYTES // 2**20} MB.")
                    file.write(block)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise ArchiveRefused(f"“{_shown(clean)}” is a file and a folder at once.") from None


def _parts(name: str) -> tuple[str, ...]:
    """The parts of a safe relative path."""
    shown = _shown(name)
    if len(name) > NAME_LENGTH:
        raise ArchiveRefused(f"“{shown}”: the name is longer than {NAME_LENGTH} characters.")
    if not name.isprintable() or "\\" in name:
        raise ArchiveRefused(f"“{shown}”: a name may hold no control characters and no backslashes.")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ArchiveRefused(f"“{shown}”: a name is not UTF-8.") from None
    path = PurePosixPath(name)
    if path.is_absolute() or name[1:2] == ":":
        raise ArchiveRefused(f"“{shown}” is an absolute path: pack the folder from inside.")
    if ".." in path.parts:
        raise ArchiveRefused(f"“{shown}” leads out of the archive: pack the folder from inside.")
    if not path.parts or len(path.parts) > DEPTH or any(len(part.encode()) > 200 for part in path.parts):
        raise ArchiveRefused(f"“{shown}” is no path of a module.")
    return path.parts


def _shown(name: str) -> str:
    return name.encode("ascii", "backslashreplace").decode()[:80]


class _Counted(io.RawIOBase):
    """A stream that tells `unpacking` of every byte before anybody sees it."""

    def __init__(self, stream: IO[bytes], unpacking: _Unpacking) -> None:
        self.stream = stream
        self.unpacking = unpacking

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self.stream.read(BLOCK if size is None or size < 0 else min(size, BLOCK))
        self.unpacking.grow(len(data))
        return data


def _tar_files(archive: IO[bytes], unpacking: _Unpacking) -> Iterator[tuple[str, IO[bytes]]]:
    with gzip.GzipFile(fileobj=archive) as unzipped:
        counted = _Counted(cast("IO[bytes]", unzipped), unpacking)
        yield from _members(counted, unpacking)
        # To its end, where the checksum is: an archive that was cut off there is not whole.
        while counted.read(BLOCK):
            pass


def _members(counted: "_Counted", unpacking: _Unpacking) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(fileobj=counted, mode="r|", errorlevel=2) as tar:
        for member in tar:
            unpacking.count()
            if member.isdir():
                if member.name not in (".", "./"):
                    _parts(member.name)
                continue
            if member.issym() or member.islnk():
                kind = "a symbolic link" if member.issym() else "a hard link"
                raise ArchiveRefused(f"“{_shown(member.name)}” is {kind}: put the file itself into the archive.")
            if not member.isreg() or member.issparse():
                raise ArchiveRefused(f"“{_shown(member.name)}” is no ordinary file: remove it.")
            content = tar.extractfile(member)
            if content is None:
                raise ArchiveRefused(f"“{_shown(member.name)}” cannot be read.")
            yield member.name, content


def _zip_files(archive: IO[bytes], unpacking: _Unpacking) -> Iterator[tuple[str, IO[bytes]]]:
    _central_directory_check(archive, unpacking.archive_bytes)
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            unpacking.count()
            if entry.flag_bits & 0x1:
                raise ArchiveRefused("The archive is encrypted: pack it without a password.")
            mode = entry.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if kind == stat.S_IFLNK:
                name = _shown(entry.filename)
                raise ArchiveRefused(f"“{name}” is a symbolic link: put the file itself into the archive.")
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveRefused(f"“{_shown(entry.filename)}” is no ordinary file: remove it.")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ArchiveRefused("The archive is packed in an unusual way: use deflate, as every zip program does.")
            if entry.is_dir():
                _parts(entry.filename)
                continue
            with opened.open(entry) as content:
                yield entry.filename, _Counted(content, unpacking)  # type: ignore[misc]


def _central_directory_check(archive: IO[bytes], size: int) -> None:
    """The list of entries is read into memory whole; one of ten megabytes would be two hundred thousand objects."""
    tail_size = min(size, 65_536 + 22)
    archive.seek(size - tail_size)
    tail = archive.read(tail_size)
    archive.seek(0)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) < found + 22:
        raise ArchiveRefused("The archive is broken or cut off: pack it again.")
    (directory_bytes,) = struct.unpack("<L", tail[found + 12 : found + 16])
    if directory_bytes > CENTRAL_DIRECTORY_BYTES:
        raise ArchiveRefused(f"The archive has more than {ENTRIES} entries: a module is a few files.")
