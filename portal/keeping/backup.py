"""`manage.py backup`: everything a portal is, in one archive, while it runs.

1. Databases, states and records of services must belong together. They are taken in one go, between two looks at the
   changes: where Terraform applied something meanwhile, they are taken again.
2. People's files and artifacts follow, which may be large and change at any time.
"""

import json
import os
import platform
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from portal.keeping.archive import ArchiveWriter
from portal.keeping.databases import Databases, databases_found, dump
from portal.keeping.errors import KeepingError
from portal.keeping.sealing import Seal
from portal.up.places import Places

ATTEMPTS = 3
APPLY_SECONDS = 300
# Found again or made again: what init fetches, plans (they hold secrets and are made anew), and scratch folders.
LEFT_OUT = {".terraform", "changes", ".home"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class BackupWish:
    target: Path
    passphrase: str | None = None
    keys: bool = True
    volumes: bool = True


def backup(places: Places, wish: BackupWish, say: Say) -> dict[str, Any]:
    """Writes the archive and returns its manifest. Raises KeepingError."""
    if wish.target.exists():
        raise KeepingError(f"{wish.target} exists already: name another file.")
    if places.data.resolve() in wish.target.resolve().parents:
        raise KeepingError("A backup inside the folder it is made of would be lost with it: name a file elsewhere.")
    try:
        writer = ArchiveWriter(wish.target)
    except OSError as error:
        raise KeepingError(f"{wish.target} cannot be written: {error.strerror}.") from None
    seal = Seal(wish.passphrase)
    warnings: list[str] = []
    try:
        with databases_found(places) as databases, Staging(wish.target) as staging:
            if databases.mlflow is None:
                warnings.append("The MLflow server is not this portal's: back up its database and artifacts yourself.")
            if not (places.data / "agent").exists():
                warnings.append("This machine has no agent: no states and no files are in this backup.")
            began = _consistent(places, databases, staging, warnings, say)
            facts = _facts(databases.portal)
            writer.file_from("database.dump", staging / "database.dump")
            if databases.mlflow:
                writer.file_from("mlflow.dump", staging / "mlflow.dump")
            writer.file("agent.tar", seal.close((staging / "agent.tar").read_bytes()))
            if wish.keys:
                writer.file("keys.json", seal.close(json.dumps(_keys(places)).encode()))
            else:
                warnings.append("The keys are not in it: without them no secret in it can be read. Keep them apart.")
            say("Artifacts of experiments")
            writer.tree("artifacts", places.data / "mlflow" / "artifacts")
            if wish.volumes:
                _volumes(writer, places, say)
                warnings += _destroyed_since(databases.portal, began)
            else:
                warnings.append("People's files are not in it.")
        warnings += [f"Left out: {name}" for name in writer.skipped[:50]]
        return writer.finish(
            {
                "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "embedded": databases.embedded,
                "volumes": wish.volumes,
                "keys": wish.keys,
                "sealed": seal.described,
                "python": platform.python_version(),
                "warnings": warnings,
                "done": _done(places),
                **facts,
            }
        )
    except psycopg.Error as error:
        writer.abandon()
        raise KeepingError(f"The database does not answer: {error}") from None
    except BaseException:
        writer.abandon()
        raise


class Staging:
    """A private folder beside the archive, on the same disk."""

    def __init__(self, target: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))

    def __enter__(self) -> Path:
        return self.folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def _consistent(places: Places, databases: Databases, staging: Path, warnings: list[str], say: Say) -> datetime:
    """Databases and the agent's records of one moment, in which Terraform changed nothing; when that was."""
    for attempt in range(1, ATTEMPTS + 1):
        began = _applies_wait(databases.portal, say)
        say("Databases and states" + (f", again ({attempt})" if attempt > 1 else ""))
        dump(databases.portal, staging / "database.dump")
        if databases.mlflow:
            dump(databases.mlflow, staging / "mlflow.dump")
        _agent_tar(places.data / "agent", staging / "agent.tar")
        moved = _applied_since(databases.portal, began)
        if not moved:
            return began
    warnings.append(
        "Terraform was at work all the time. The states of these may be newer than the database: " + ", ".join(moved)
    )
    return began


def _applies_wait(url: str, say: Say) -> datetime:
    """When nothing is being applied; after five minutes of waiting, now."""
    deadline = time.monotonic() + APPLY_SECONDS
    told = False
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        while True:
            row = connection.execute(
                "SELECT clock_timestamp(), (SELECT count(*) FROM provisioning_change WHERE status = 'applying')"
            ).fetchone()
            assert row is not None
            if not row[1] or time.monotonic() > deadline:
                return row[0]  # type: ignore[no-any-return]
            if not told:
                say(f"Waiting for {row[1]} changes that are being applied")
                told = True
            time.sleep(0.5)


def _applied_since(url: str, began: datetime) -> list[str]:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        rows = connection.execute(
            "SELECT DISTINCT w.name FROM provisioning_change c JOIN provisioning_workspace w ON w.id = c.workspace_id "
            "WHERE c.status = 'applying' OR c.applying_at >= %s ORDER BY 1",
            [began],
        ).fetchall()
    return [str(row[0]) for row in rows]


def _agent_tar(agent: Path, target: Path) -> None:
    """Small and all the agent's own: secret, owners, states, records of services, by the plain means of tarfile."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("secret", "owners.json"):
            if (agent / name).is_file():
                tar.add(agent / name, name)
        for record in sorted(agent.glob("services/*/*/service.json")):
            tar.add(record, str(record.relative_to(agent)))
        for workspace in sorted(agent.glob("workspaces/*")):
            tar.add(workspace, str(workspace.relative_to(agent)), filter=_workspace_filter)


def _workspace_filter(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    own = entry.isreg() or entry.isdir()
    return entry if own and LEFT_OUT.isdisjoint(Path(entry.name).parts[2:]) else None


def _volumes(writer: ArchiveWriter, places: Places, say: Say) -> None:
    for workspace in sorted((places.data / "agent" / "volumes").glob("*")):
        say(f"Files of {workspace.name}")
        writer.tree(f"volumes/{workspace.name}", workspace, leave_out=_half_made)


def _half_made(relative: str) -> bool:
    return relative.startswith((".creating-", ".deleted-"))


def _destroyed_since(url: str, began: datetime) -> list[str]:
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        rows = connection.execute("SELECT name FROM provisioning_workspace WHERE destroyed_at > %s", [began]).fetchall()
    return [f"{row[0]} was destroyed while the backup was made; it is in it, perhaps without its files" for row in rows]


def _keys(places: Places) -> dict[str, Any]:
    """What signs and encrypts, from where this portal has it."""
    given = os.environ.get("SLIPWAY_KEYS", "").replace(",", "\n").strip()
    file = os.environ.get("SLIPWAY_KEYS_FILE", "").strip() or str(places.data / "keys" / "encryption")
    encryption = given or _text(Path(file))
    if not encryption:
        raise KeepingError("The encryption keys are not here: give SLIPWAY_KEYS, or leave them out with --without-keys")
    signing = [os.environ.get(name, "").replace(",", "\n").strip() for name in ("SECRET_KEY", "SECRET_KEY_FALLBACKS")]
    secret = "\n".join(filter(None, signing))
    return {
        "encryption": encryption,
        "secret_key": secret or _text(places.data / "keys" / "secret_key"),
        "mlflow": _text(places.data / "keys" / "mlflow"),
        "password": _text(places.data / "password"),
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""


def _done(places: Places) -> dict[str, str]:
    """Which jobs of the first start are done: the demo is not filled a second time."""
    return {path.name: _text(path) for path in sorted((places.data / "done").glob("*")) if path.is_file()}


def _facts(url: str) -> dict[str, Any]:
    """What a restore must know of the database, and the machine whose agent this folder is."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
        rows = connection.execute("SELECT app || '.' || name FROM django_migrations ORDER BY 1").fetchall()
        counted = connection.execute(
            "SELECT count(*) FROM provisioning_workspace WHERE destroyed_at IS NULL"
        ).fetchone()
    from apps.provisioning.agent.daemon import machine_name

    return {
        "migrations": [row[0] for row in rows],
        "environments": counted[0] if counted else 0,
        "machine": machine_name(),
        "uid": os.geteuid(),
    }
