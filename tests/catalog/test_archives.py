"""Hostile archives: each is refused with a message that names the entry, and nothing is written outside."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.catalog import archives
from apps.catalog.archives import archive_unpack
from apps.catalog.exceptions import ArchiveRefused

Build = Callable[[tarfile.TarFile], None]


def tar(*members: tuple[str, bytes] | tarfile.TarInfo) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    buffer.seek(0)
    return buffer


def entry(name: str, kind: bytes, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zipped(*members: tuple[str, bytes], mode: int = 0, flags: int = 0) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = mode << 16
            archive.writestr(info, content)
    buffer.seek(0)
    return buffer


def encrypted_zip() -> io.BytesIO:
    """What a password leaves in the headers: bit 0 of the flags, in both places."""
    data = bytearray(zipped(("main.tf", b"x")).getvalue())
    data[6] |= 1
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    return io.BytesIO(bytes(data))


@pytest.mark.parametrize("pack", [tar, zipped])
def test_an_archive_with_one_folder_begins_there(tmp_path: Path, pack: Callable[..., io.BytesIO]) -> None:
    root = archive_unpack(pack(("sample-1.0/main.tf", b"# a\n"), ("sample-1.0/files/x.txt", b"x")), tmp_path)
    assert root == tmp_path / "sample-1.0"
    assert (root / "files" / "x.txt").read_bytes() == b"x"


@pytest.mark.parametrize("pack", [tar, zipped])
def test_an_archive_without_one_begins_at_its_top(tmp_path: Path, pack: Callable[..., io.BytesIO]) -> None:
    root = archive_unpack(pack(("main.tf", b"# a\n"), ("__MACOSX/._main.tf", b"x"), (".git/config", b"x")), tmp_path)
    assert sorted(path.name for path in root.rglob("*")) == ["main.tf"]


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../outside", "leads out of the archive"),
        ("a/../../outside", "leads out of the archive"),
        ("/etc/cron.d/outside", "absolute path"),
        ("C:/outside", "absolute path"),
        ("a\\..\\outside", "no backslashes"),
        ("a\x1bb", "no control characters"),
        ("x" * 300, "longer than"),
        ("/".join("d" * 30) + "/x", "no path of a module"),
    ],
)
def test_names_that_lead_astray_are_refused(
    tmp_path: Path, pack: Callable[..., io.BytesIO], name: str, words: str
) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    with pytest.raises(ArchiveRefused, match=words):
        archive_unpack(pack((name, b"x")), inside)
    assert not list(tmp_path.rglob("outside"))


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (entry("link.tf", tarfile.SYMTYPE, "/etc/passwd"), "symbolic link"),
        (entry("link.tf", tarfile.LNKTYPE, "main.tf"), "hard link"),
        (entry("device", tarfile.CHRTYPE), "no ordinary file"),
        (entry("disk", tarfile.BLKTYPE), "no ordinary file"),
        (entry("pipe", tarfile.FIFOTYPE), "no ordinary file"),
        (entry("../up", tarfile.DIRTYPE), "leads out"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path: Path, member: tarfile.TarInfo, words: str) -> None:
    with pytest.raises(ArchiveRefused, match=words):
        archive_unpack(tar(("main.tf", b"x"), member), tmp_path)


def test_a_symbolic_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveRefused, match="symbolic link"):
        archive_unpack(zipped(("link.tf", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), tmp_path)


@pytest.mark.parametrize("pack", [tar, zipped])
def test_a_bomb_is_not_opened(tmp_path: Path, pack: Callable[..., io.BytesIO]) -> None:
    bomb = pack(*((f"zeros-{number}", bytes(4 * 2**20)) for number in range(4)))
    assert len(bomb.getvalue()) < 100_000
    with pytest.raises(ArchiveRefused, match="looks like a bomb"):
        archive_unpack(bomb, tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) <= archives.FILE_BYTES


def test_a_bomb_of_headers_is_not_opened(tmp_path: Path) -> None:
    """A tar whose extended header alone is larger than everything that may be unpacked."""
    buffer = io.BytesIO()
    with gzip.open(buffer, "wb") as file:
        head = tarfile.TarInfo("x")
        head.type, head.size = tarfile.XHDTYPE, 200 * 2**20
        file.write(head.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(60):
            file.write(bytes(2**20))
    buffer.seek(0)
    with pytest.raises(ArchiveRefused):
        archive_unpack(buffer, tmp_path)


def test_too_many_entries_are_refused(tmp_path: Path) -> None:
    many = ((f"{number}.tf", b"") for number in range(archives.ENTRIES + 1))
    with pytest.raises(ArchiveRefused, match="entries"):
        archive_unpack(tar(*many), tmp_path)


def test_a_list_of_entries_that_would_fill_the_memory_is_not_read(tmp_path: Path) -> None:
    data = bytearray(zipped(("main.tf", b"x")).getvalue())
    at = data.rfind(b"PK\x05\x06")
    data[at + 12 : at + 16] = struct.pack("<L", archives.CENTRAL_DIRECTORY_BYTES + 1)
    with pytest.raises(ArchiveRefused, match="entries"):
        archive_unpack(io.BytesIO(bytes(data)), tmp_path)


def test_one_large_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "FILE_BYTES", 1000)
    with pytest.raises(ArchiveRefused, match="“big” is larger"):
        archive_unpack(tar(("big", bytes(range(256)) * 8)), tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"hello there, this is text", "neither a .tar.gz nor a .zip"),
        (b"\x1f\x8b garbage of a gzip", "broken or cut off"),
        (b"PK\x03\x04 garbage of a zip", "broken or cut off"),
        (tar(("main.tf", b"x" * 50_000)).getvalue()[:-20], "broken or cut off"),
        (zipped(("main.tf", b"x" * 50_000)).getvalue()[:-30], "broken or cut off"),
        (encrypted_zip().getvalue(), "encrypted"),
        (tar().getvalue(), "no files"),
        (tar(("main.tf", b"a"), ("main.tf", b"b")).getvalue(), "“main.tf” twice"),
        (tar(("a", b"a"), ("a/b", b"b")).getvalue(), "a file and a folder at once"),
    ],
    ids=["empty", "text", "gzip", "zip", "tar-cut", "zip-cut", "encrypted", "no-files", "twice", "file-and-folder"],
)
def test_what_cannot_be_opened_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(ArchiveRefused, match=words):
        archive_unpack(io.BytesIO(content), tmp_path)


def test_an_archive_beyond_the_size_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ARCHIVE_BYTES", 10)
    with pytest.raises(ArchiveRefused, match="larger than"):
        archive_unpack(tar(("main.tf", b"x")), tmp_path)
