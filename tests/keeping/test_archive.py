"""What a restore refuses, by name and before anything is written: damage, newer archives, ways out, full folders."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.keeping import restore as restoring
from portal.keeping.archive import FORMAT, ArchiveReader, ArchiveWriter
from portal.keeping.errors import ArchiveRefused, KeepingError
from portal.keeping.extraction import TreeWriter
from portal.keeping.restore import restore
from portal.keeping.sealing import Seal, passphrase_read


def quiet(text: str) -> None:
    pass


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "deep").mkdir(parents=True)
    (top / "deep" / "file").write_bytes(b"content" * 5000)
    (top / "deep" / os.fsdecode(b"odd-\xff")).write_text("odd")
    (top / "out").symlink_to("/etc/passwd")
    (top / "closed").mkdir(mode=0o500)
    (top / "run.sh").write_text("#!")
    (top / "run.sh").chmod(0o4755)
    os.mkfifo(top / "pipe")
    return top


@pytest.fixture
def archive(tmp_path: Path, tree: Path) -> Path:
    path = tmp_path / "backup.tar"
    writer = ArchiveWriter(path)
    writer.tree("volumes/one", tree)
    writer.file("agent.tar", b"")
    writer.finish({"migrations": [], "machine": "m", "keys": False})
    return path


def extracted(archive: Path, top: Path) -> None:
    top.mkdir()
    writer = TreeWriter(top)
    for entry, source in ArchiveReader(archive).members("volumes"):
        writer.add(entry, source, name=entry.name)
    writer.close()


def test_a_tree_comes_back_as_it_was(archive: Path, tmp_path: Path) -> None:
    extracted(archive, tmp_path / "back")
    home = tmp_path / "back" / "volumes" / "one"
    assert (home / "deep" / "file").read_bytes() == b"content" * 5000
    assert (home / "deep" / os.fsdecode(b"odd-\xff")).read_text() == "odd"
    assert os.readlink(home / "out") == "/etc/passwd"
    assert (home / "closed").stat().st_mode & 0o777 == 0o500
    assert (home / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert not (home / "pipe").exists()


def test_what_was_left_out_is_told(tmp_path: Path, tree: Path) -> None:
    writer = ArchiveWriter(tmp_path / "x.tar")
    writer.tree("volumes/one", tree)
    writer.finish({})
    assert writer.skipped == ["volumes/one/pipe (no ordinary file)"]


def test_a_file_that_changes_its_length_while_it_is_read_breaks_nothing(tmp_path: Path) -> None:
    """The length is what it was when the file was opened: what is missing then is zeros."""
    top = tmp_path / "tree"
    top.mkdir()
    (top / "log").write_bytes(b"x" * 100)
    writer = ArchiveWriter(tmp_path / "x.tar")
    real = os.fstat

    def longer(handle: int) -> os.stat_result:
        seen = list(real(handle))
        seen[6] = seen[6] + 50 if seen[6] == 100 else seen[6]
        return os.stat_result(seen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fstat", longer)
        writer.tree("volumes/one", top)
    writer.finish({})
    content = ArchiveReader(tmp_path / "x.tar").content("volumes/one/log")
    assert content == b"x" * 100 + bytes(50)


def test_a_link_put_in_the_way_of_the_backup_leads_nowhere(tmp_path: Path, tree: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("secret")
    (tree / "data").symlink_to(secret)
    writer = ArchiveWriter(tmp_path / "x.tar")
    writer.tree("volumes/one", tree)
    writer.finish({})
    names = [entry.name for entry, _ in ArchiveReader(tmp_path / "x.tar").members("volumes")]
    assert "volumes/one/data" in names
    assert [name for name in names if "key" in name] == []


@pytest.mark.parametrize("where", [0.1, 0.5])
def test_a_changed_byte_is_found(archive: Path, where: float) -> None:
    content = bytearray(archive.read_bytes())
    at = content.index(b"contentcontent") + int(where * 20000)
    content[at] ^= 1
    archive.write_bytes(content)
    with pytest.raises(ArchiveRefused, match="damaged in: volumes"):
        ArchiveReader(archive)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.99])
def test_an_archive_that_was_cut_off_is_refused(archive: Path, share: float) -> None:
    """Up to the last bytes of its manifest; behind that a tar has only padding."""
    os.truncate(archive, int(archive.read_bytes().rindex(b"}") * share))
    with pytest.raises(ArchiveRefused, match="Nothing was changed"):
        ArchiveReader(archive)


def test_something_else_is_no_backup(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello" * 1000)
    with pytest.raises(ArchiveRefused, match="cannot be read"):
        ArchiveReader(tmp_path / "x")
    with pytest.raises(ArchiveRefused):
        ArchiveReader(tmp_path / "none")


def rewritten(archive: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """The same archive with another manifest."""
    with tarfile.open(archive) as tar:
        parts = [(entry, tar.extractfile(entry).read() if entry.isreg() else None) for entry in tar]  # type: ignore[union-attr]
    with tarfile.open(archive, "w") as tar:
        for entry, content in parts:
            if entry.name == "manifest.json":
                manifest = json.loads(content or b"")
                change(manifest)
                entry.size = len(json.dumps(manifest))
                tar.addfile(entry, io.BytesIO(json.dumps(manifest).encode()))
            else:
                tar.addfile(entry, io.BytesIO(content) if content is not None else None)


def test_a_newer_archive_is_refused_by_name(archive: Path, tmp_path: Path) -> None:
    rewritten(archive, lambda manifest: manifest.update(format=FORMAT + 1))
    with pytest.raises(ArchiveRefused, match="newer Slipway"):
        restore(tmp_path / "data", archive, None, quiet)
    assert not (tmp_path / "data").exists()


def test_a_database_of_a_newer_version_is_refused_by_name(archive: Path, tmp_path: Path) -> None:
    rewritten(archive, lambda manifest: manifest.update(migrations=["core.0001_initial", "core.9999_future"]))
    with pytest.raises(ArchiveRefused, match=r"core\.9999_future"):
        restore(tmp_path / "data", archive, None, quiet)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("name", ["../evil", "/tmp/evil", "volumes/../../evil", "volumes/one/../../../../evil"])
def test_a_name_that_leads_outside_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    with pytest.raises(ArchiveRefused, match="outside"):
        ArchiveReader(path)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_hard_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as tar:
        entry = tarfile.TarInfo("volumes/one")
        entry.type, entry.linkname = kind, "/etc/shadow"
        tar.addfile(entry)
    with pytest.raises(ArchiveRefused, match="no file"):
        ArchiveReader(path)


def test_a_file_behind_a_link_of_the_archive_is_not_written_through_it(tmp_path: Path) -> None:
    """`volumes/one -> /elsewhere`, then `volumes/one/evil`: the link is not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    writer = ArchiveWriter(tmp_path / "x.tar")
    link = tarfile.TarInfo("volumes/one")
    link.type, link.linkname = tarfile.SYMTYPE, str(elsewhere)
    writer._add(link)
    writer.file("volumes/one/evil", b"evil")
    writer.finish({})
    with pytest.raises(NotADirectoryError):
        extracted(tmp_path / "x.tar", tmp_path / "back")
    assert list(elsewhere.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(archive: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine").write_text("mine")
    with pytest.raises(KeepingError, match="not empty"):
        restore(data, archive, None, quiet)
    assert [path.name for path in data.iterdir()] == ["mine"]


def test_a_restore_that_fails_half_way_leaves_the_folder_empty(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeepingError("the disk is full")

    monkeypatch.setattr(restoring, "_databases_write", broken)
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(KeepingError, match="disk is full"):
        restore(data, archive, None, quiet)
    assert list(data.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_the_units_user_is_given_back(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the web process needs is its user's; the agent's own stays root's."""
    monkeypatch.setattr(restoring, "_databases_write", lambda *_: None)
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    os.chown(data, 61_000, 61_000)
    restore(data, archive, None, quiet)
    owners = {path.name: path.stat().st_uid for path in [data, *data.iterdir()]}
    assert owners["data"] == owners["mlflow"] == owners["done"] == 61_000
    assert owners["agent"] == 0
    home = data / "agent" / "volumes" / "one"
    assert {path.lstat().st_uid for path in home.iterdir() if path.is_dir()} != {0}


def test_a_backup_is_not_written_over_another(archive: Path, tmp_path: Path) -> None:
    from portal.keeping.backup import BackupWish, backup
    from portal.up.places import Places

    with pytest.raises(KeepingError, match="exists already"):
        backup(Places(tmp_path / "data"), BackupWish(archive), quiet)
    with pytest.raises(KeepingError, match="inside the folder"):
        backup(Places(tmp_path), BackupWish(tmp_path / "inside.tar"), quiet)


def test_a_seal_opens_with_its_passphrase_only() -> None:
    seal = Seal("correct horse battery")
    closed = seal.close(b"secret")
    assert b"secret" not in closed
    assert Seal.of(seal.described, "correct horse battery").open(closed) == b"secret"
    with pytest.raises(KeepingError, match="is not the one"):
        Seal.of(seal.described, "another passphrase").open(closed)
    with pytest.raises(KeepingError, match="--passphrase-file"):
        Seal.of(seal.described, None)


def test_a_short_passphrase_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("short\n")
    with pytest.raises(KeepingError, match="at least 12"):
        passphrase_read(tmp_path / "p")


def test_a_portal_does_not_start_on_half_a_restore(tmp_path: Path) -> None:
    from portal.env import SettingError
    from portal.up.command import up

    (tmp_path / "restoring").write_text("")
    with pytest.raises(SettingError, match="cut off"):
        up(tmp_path)
