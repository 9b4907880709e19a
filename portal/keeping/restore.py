"""`manage.py restore`: a backup into an empty folder, where the next start finds a portal that manages the same.

Nothing is written before the whole archive was checked. While it is written, a mark in the folder keeps a portal from
starting on half of it. Services of the archive are not started: what ran is shown as stopped, with the reason, and a
start builds its runtime again from the lock and finds its files.
"""

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from apps.provisioning.machine.owners import Owners
from apps.provisioning.machine.trees import tree_owner_set
from portal.keeping.archive import ArchiveReader
from portal.keeping.databases import Databases, databases_made, load
from portal.keeping.errors import ArchiveRefused, KeepingError
from portal.keeping.extraction import TreeWriter
from portal.keeping.sealing import Seal
from portal.up.lock import UpLock
from portal.up.places import Places, folder_private

MARK = "restoring"
REASON = "The portal was restored from a backup"

Say = Callable[[str], None]


def restore(data: Path, archive: Path, passphrase: str | None, say: Say) -> dict[str, Any]:
    """Returns the manifest. Raises KeepingError; the folder is empty again then."""
    if data.exists() and any(data.iterdir()):
        raise KeepingError(f"{data} is not empty: name an empty folder in SLIPWAY_DATA. Nothing was changed.")
    say("Checking the archive")
    reader = ArchiveReader(archive)
    manifest = reader.manifest
    _migrations_check(manifest)
    seal = Seal.of(manifest.get("sealed"), passphrase)
    agent = seal.open(reader.content("agent.tar") or b"")
    keys = json.loads(seal.open(reader.content("keys.json") or b"") or b"{}") if manifest.get("keys") else {}

    existed = data.stat() if data.exists() else None
    if existed and os.geteuid() == 0:
        # Of the user the units run as: ours while it is written, theirs again at the end.
        os.chown(data, 0, 0)
    places = Places(folder_private(data.resolve()))
    lock = UpLock(places)
    if not lock.acquire():
        raise KeepingError(f"Something already works in {data}. Nothing was changed.")
    try:
        (places.data / MARK).write_text(f"{archive}\n", encoding="utf-8")
        _keys_write(places, keys)
        _done_write(places, manifest)
        _agent_write(places.data / "agent", agent)
        _trees_write(places, reader, say)
        say("Databases")
        _databases_write(places, reader, manifest)
    except BaseException:
        lock.release()
        _empty_again(data, keep=existed is not None)
        _owner_give(data, existed)
        raise
    (places.data / MARK).unlink()
    lock.release()
    _owner_give(data, existed)
    return manifest


def keys_warning(manifest: dict[str, Any], places: Places) -> str:
    """What is left to do with the keys; empty when nothing is."""
    if not manifest.get("keys"):
        return f"Its keys are not in the backup: write them into {places.data / 'keys' / 'encryption'}, one a line."
    given = os.environ.get("SLIPWAY_KEYS", "").split(",")
    if file := os.environ.get("SLIPWAY_KEYS_FILE", "").strip():
        given += Path(file).read_text(encoding="ascii").split() if Path(file).exists() else []
    restored = (places.data / "keys" / "encryption").read_text(encoding="ascii").split()
    if any(given) and not set(restored) <= set(given):
        return (
            f"SLIPWAY_KEYS of this environment lacks keys of the backup: they are in {places.data}/keys/encryption; "
            "add them behind your own, or leave SLIPWAY_KEYS out."
        )
    return ""


def _migrations_check(manifest: dict[str, Any]) -> None:
    from django.db.migrations.loader import MigrationLoader

    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    unknown = [name for name in manifest.get("migrations", []) if name not in known]
    if unknown:
        raise ArchiveRefused(
            f"The backup was made by a newer Slipway: its database has {unknown[0]}, which this version does not know. "
            "Restore it with that version. Nothing was changed."
        )


def _keys_write(places: Places, keys: dict[str, str]) -> None:
    for name, kept in (("encryption", "encryption"), ("secret_key", "secret_key"), ("mlflow", "mlflow")):
        if keys.get(kept):
            _private_write(places.keys / name, keys[kept] + "\n")
    if keys.get("password"):
        _private_write(places.data / "password", keys["password"] + "\n")


def _done_write(places: Places, manifest: dict[str, Any]) -> None:
    folder = folder_private(places.data / "done")
    for name, text in manifest.get("done", {}).items():
        if "/" not in name and not name.startswith("."):
            _private_write(folder / name, text)


def _agent_write(agent: Path, content: bytes) -> None:
    """The agent's own records; every service is written down as stopped."""
    folder_private(agent)
    if not content:
        return
    writer = TreeWriter(agent)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for entry in tar:
            # The outer archive's digests cover this one, but not who made it: the same rules hold inside.
            parts = Path(entry.name).parts
            if entry.name.startswith("/") or ".." in parts or not (entry.isreg() or entry.isdir()):
                raise ArchiveRefused(f"The archive names a place outside of it ({entry.name!r}). Nothing was changed.")
            source = tar.extractfile(entry) if entry.isreg() else None
            if parts[0] == "services" and source is not None:
                source = io.BytesIO(_stopped(source.read()))
            writer.add(entry, source, name=entry.name)
    writer.close()


def _stopped(record: bytes) -> bytes:
    service = json.loads(record)
    if service["spec"]["running"]:
        service["stop_reason"] = REASON
    service["spec"]["running"] = False
    service |= {"suspended": None, "failed": None, "healthy_run": []}
    return json.dumps(service).encode()


def _trees_write(places: Places, reader: ArchiveReader, say: Say) -> None:
    agent = places.data / "agent"
    volumes = folder_private(agent / "volumes")
    folder_private(places.data / "mlflow")
    artifacts = folder_private(places.data / "mlflow" / "artifacts")
    for section, top in (("artifacts", artifacts), ("volumes", volumes)):
        if section in reader.manifest["sections"]:
            say({"artifacts": "Artifacts of experiments", "volumes": "Files of people"}[section])
        writer = TreeWriter(top)
        for entry, source in reader.members(section):
            name = entry.name.removeprefix(section).strip("/")
            if name:
                writer.add(entry, source, name=name)
        writer.close()
    if os.geteuid() == 0:
        _owners_set(agent)


def _owners_set(agent: Path) -> None:
    """Each environment's files belong to the user its code runs as here, which another machine may count otherwise."""
    owners = Owners(agent)
    for workspace in sorted((agent / "volumes").iterdir()):
        uid = owners.uid(workspace.name)
        for volume in workspace.iterdir():
            if volume.is_dir() and not volume.is_symlink():
                tree_owner_set(volume, uid, uid)


def _databases_write(places: Places, reader: ArchiveReader, manifest: dict[str, Any]) -> None:
    draft = places.data / "restoring.dump"
    has_mlflow = "mlflow.dump" in manifest["sections"]
    with databases_made(places, mlflow=has_mlflow) as made:
        for name, url in (("database.dump", made.portal), ("mlflow.dump", made.mlflow)):
            if url and reader.copy(name, draft):
                load(url, draft)
                draft.unlink()
        _machine_adopt(made, manifest)


def _machine_adopt(made: Databases, manifest: dict[str, Any]) -> None:
    """The agent of this machine takes the place of the one whose folder was backed up."""
    from apps.provisioning.agent.daemon import machine_name

    with psycopg.connect(made.portal, connect_timeout=10) as connection:
        connection.execute("UPDATE provisioning_machine SET holder = NULL, expires_at = NULL")
        connection.execute(
            "UPDATE provisioning_machine SET name = %s WHERE name = %s", [machine_name(), manifest["machine"]]
        )


def _private_write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def _owner_give(data: Path, existed: os.stat_result | None) -> None:
    """To the folder's owner goes everything but what is the agent's, which runs as root where there are two users."""
    if existed is None or os.geteuid() != 0 or existed.st_uid == 0:
        return
    for path in data.iterdir():
        if path.name in ("agent", "postgres"):
            continue
        if path.is_dir() and not path.is_symlink():
            tree_owner_set(path, existed.st_uid, existed.st_gid)
        else:
            os.chown(path, existed.st_uid, existed.st_gid, follow_symlinks=False)
    os.chown(data, existed.st_uid, existed.st_gid)


def _empty_again(data: Path, *, keep: bool) -> None:
    for path in data.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not keep:
        data.rmdir()
