"""The archive: a plain tar whose first path component names a section, with a manifest as its last member.

The manifest holds one SHA-256 for each section, over the headers and the content of its members in their order. A
reader checks all of them before it writes anything. Without a manifest the archive was cut off.
"""

import hashlib
import io
import json
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from portal.keeping.errors import ArchiveRefused

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK = 1 << 20
DEEPEST = 200
MANIFEST_BYTES = 50_000_000


class ArchiveWriter:
    """Writes beside the wanted place, and moves there once the whole of it is on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.draft = path.with_name(f".{path.name}.partial")
        self.draft.unlink(missing_ok=True)
        self._file = os.fdopen(os.open(self.draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._digests: dict[str, Any] = {}
        self._counts: dict[str, list[int]] = {}
        self.skipped: list[str] = []

    def file(self, name: str, content: bytes) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o600
        self._add(entry, io.BytesIO(content))

    def file_from(self, name: str, path: Path) -> None:
        with path.open("rb") as source:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = os.fstat(source.fileno()).st_size, 0o600
            self._add(entry, source)

    def tree(self, prefix: str, top: Path, *, leave_out: Callable[[str], bool] = lambda relative: False) -> None:
        """Everything below `top`, which a stranger may be changing meanwhile: no link is followed on the way.

        `leave_out` gets paths relative to `top`. Sockets, pipes and devices are left out.
        """
        try:
            handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            self._directory(prefix, os.fstat(handle))
            self._walk(prefix, "", handle, leave_out, 0)
        finally:
            os.close(handle)

    def finish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        sections = {
            name: {"sha256": digest.hexdigest(), "members": self._counts[name][0], "bytes": self._counts[name][1]}
            for name, digest in self._digests.items()
        }
        whole = {"format": FORMAT, **manifest, "sections": sections}
        content = json.dumps(whole, indent=1, sort_keys=True).encode()
        entry = tarfile.TarInfo(MANIFEST)
        entry.size, entry.mode = len(content), 0o600
        self._tar.addfile(entry, io.BytesIO(content))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self.draft.replace(self.path)
        return whole

    def abandon(self) -> None:
        self._file.close()
        self.draft.unlink(missing_ok=True)

    def _walk(self, prefix: str, below: str, handle: int, leave_out: Callable[[str], bool], depth: int) -> None:
        for name in sorted(os.listdir(handle)):
            relative = f"{below}{name}"
            if leave_out(relative):
                continue
            if depth > DEEPEST:
                self.skipped.append(f"{prefix}/{relative} (too deep)")
                continue
            try:
                self._entry(prefix, relative, name, handle, leave_out, depth)
            except FileNotFoundError:
                continue
            except OSError as error:
                # It was exchanged for something else, or is not ours to read.
                self.skipped.append(f"{prefix}/{relative} ({error.strerror})")

    def _entry(
        self, prefix: str, relative: str, name: str, parent: int, leave_out: Callable[[str], bool], depth: int
    ) -> None:
        seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
        where = f"{prefix}/{relative}"
        if stat.S_ISDIR(seen.st_mode):
            handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
            try:
                self._directory(where, os.fstat(handle))
                self._walk(prefix, f"{relative}/", handle, leave_out, depth + 1)
            finally:
                os.close(handle)
        elif stat.S_ISLNK(seen.st_mode):
            entry = _described(where, seen, tarfile.SYMTYPE)
            entry.linkname = os.readlink(name, dir_fd=parent)
            self._add(entry)
        elif stat.S_ISREG(seen.st_mode):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
            with os.fdopen(handle, "rb") as source:
                opened = os.fstat(handle)
                if stat.S_ISREG(opened.st_mode):
                    self._add(_described(where, opened, tarfile.REGTYPE), _Exactly(source, opened.st_size))
        else:
            self.skipped.append(f"{where} (no ordinary file)")

    def _directory(self, name: str, seen: os.stat_result) -> None:
        self._add(_described(name, seen, tarfile.DIRTYPE))

    def _add(self, entry: tarfile.TarInfo, content: Any = None) -> None:
        section = section_of(entry.name)
        digest = self._digests.setdefault(section, hashlib.sha256())
        digest.update(_header(entry))
        count = self._counts.setdefault(section, [0, 0])
        count[0] += 1
        count[1] += entry.size
        self._tar.addfile(entry, _Hashing(content, digest) if content is not None else None)
        self._tar.members = []  # type: ignore[attr-defined]  # tarfile remembers each one for ever


class ArchiveReader:
    """An archive that was checked whole: `manifest` can be believed, and `members` gives what it lists."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = self._check()

    def members(self, *sections: str) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """Members of these sections with their content (None for directories and links), in their order."""
        with _opened(self.path) as tar:
            for entry in _entries(tar):
                if section_of(entry.name) in sections:
                    yield entry, tar.extractfile(entry) if entry.isreg() else None

    def content(self, name: str) -> bytes | None:
        for entry, source in self.members(section_of(name)):
            if entry.name == name and source is not None:
                return source.read()
        return None

    def copy(self, name: str, target: Path) -> bool:
        for entry, source in self.members(section_of(name)):
            if entry.name == name and source is not None:
                with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    while block := source.read(CHUNK):
                        file.write(block)
                return True
        return False

    def _check(self) -> dict[str, Any]:
        """Raises ArchiveRefused."""
        try:
            digests, manifest = self._read_through()
        except (OSError, EOFError, tarfile.TarError, UnicodeError) as error:
            raise ArchiveRefused(f"{self.path} cannot be read: {error}. Nothing was changed.") from None
        if manifest is None:
            raise ArchiveRefused(f"{self.path} has no manifest: it is no backup, or was cut off. Nothing was changed.")
        if not isinstance(manifest.get("format"), int) or manifest["format"] > FORMAT:
            raise ArchiveRefused(
                f"{self.path} was made by a newer Slipway (archive format {manifest.get('format')}, this one reads "
                f"{FORMAT}): restore it with that version. Nothing was changed."
            )
        wanted = {name: section["sha256"] for name, section in manifest["sections"].items()}
        damaged = sorted(name for name in wanted.keys() | digests.keys() if wanted.get(name) != digests.get(name))
        if damaged:
            raise ArchiveRefused(f"{self.path} is damaged in: {', '.join(damaged)}. Nothing was changed.")
        return manifest

    def _read_through(self) -> tuple[dict[str, str], dict[str, Any] | None]:
        digests: dict[str, Any] = {}
        manifest: dict[str, Any] | None = None
        with _opened(self.path) as tar:
            for entry in _entries(tar):
                source = tar.extractfile(entry) if entry.isreg() else None
                if entry.name == MANIFEST:
                    if entry.size > MANIFEST_BYTES or source is None:
                        raise ArchiveRefused(f"{self.path} has no usable manifest. Nothing was changed.")
                    manifest = _manifest_parse(self.path, source.read())
                    continue
                digest = digests.setdefault(section_of(entry.name), hashlib.sha256())
                digest.update(_header(entry))
                while source is not None and (block := source.read(CHUNK)):
                    digest.update(block)
        return {name: digest.hexdigest() for name, digest in digests.items()}, manifest


def section_of(name: str) -> str:
    return name.partition("/")[0]


def _manifest_parse(path: Path, content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
        if isinstance(found, dict) and isinstance(found["sections"], dict):
            return found
    except (ValueError, KeyError):
        pass
    raise ArchiveRefused(f"{path} has no usable manifest. Nothing was changed.")


def _opened(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, mode="r:", format=tarfile.PAX_FORMAT)


def _entries(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Raises ArchiveRefused for a name that leads outside and for a kind that no backup holds."""
    while (entry := tar.next()) is not None:
        tar.members = []  # type: ignore[attr-defined]
        parts = PurePosixPath(entry.name).parts
        if entry.name.startswith("/") or ".." in parts or not parts or "\0" in entry.name:
            raise ArchiveRefused(f"The archive names a place outside of it ({entry.name!r}). Nothing was changed.")
        if not (entry.isreg() or entry.isdir() or entry.issym()):
            raise ArchiveRefused(f"The archive holds {entry.name!r}, which is no file. Nothing was changed.")
        yield entry


def _described(name: str, seen: os.stat_result, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = kind, stat.S_IMODE(seen.st_mode) & 0o1777
    entry.uid, entry.gid, entry.mtime = seen.st_uid, seen.st_gid, int(seen.st_mtime)
    entry.size = seen.st_size if kind == tarfile.REGTYPE else 0
    return entry


def _header(entry: tarfile.TarInfo) -> bytes:
    facts = (entry.name, entry.type.decode(), entry.mode, entry.uid, entry.gid, entry.size, entry.linkname)
    return "\0".join(map(str, facts)).encode("utf-8", "surrogateescape") + b"\0\0"


class _Exactly:
    """A file that is read to the length it had: what grows meanwhile is cut, what shrinks is filled with zeros."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source, self._left = source, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        block = self._source.read(wanted)
        block += bytes(wanted - len(block))
        self._left -= wanted
        return block


class _Hashing:
    def __init__(self, source: Any, digest: Any) -> None:
        self._source, self._digest = source, digest

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._source.read(size)
        self._digest.update(block)
        return block
