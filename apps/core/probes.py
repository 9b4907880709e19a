"""Probes of what the portal stands on: its processes, folder, database, queue, keys and MLflow."""

import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psycopg
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor

from apps.core import health
from apps.core.ciphers import keys_lost, lost_words, values_unreadable
from apps.core.crypto import keys_known
from apps.core.doctor import Finding, Patient, Severity, register_probe
from portal.up.process import record_read

OLDEST_POSTGRES = 14
SKEW_SECONDS = 5
LONG_QUEUE = 1000
EXPIRED_SESSIONS = 100_000
DISK_FULL, DISK_LOW = 0.05, 0.10
PROCESSES = ("web", "worker", "beat", "agent", "mlflow")
START = "`make up`, or `systemctl start slipway.target`"


def patient_meet(data: Path) -> Patient:
    """The first look, which says what else can be asked. Nothing here waits for long."""
    supervisor, _ = record_read(data / "run" / "up.json")
    own = supervisor is None and bool(os.environ.get("DATABASE_URL", "").strip())
    return Patient(data, supervisor, own, _database_answers() == "", _broker_answers())


def _database_answers() -> str:
    try:
        psycopg.connect(settings.DATABASE_URL, connect_timeout=3).close()
    except psycopg.Error as error:
        return str(error).strip().splitlines()[0]
    return ""


def _broker_answers() -> bool:
    try:
        with current_app.connection_for_write(connect_timeout=2) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            broker.default_channel.client.ping()
    except Exception:
        return False
    return True


def portal_probe(patient: Patient) -> Iterator[Finding]:
    if not patient.expected:
        ever = "No portal runs on" if patient.data.is_dir() else "There is no"
        yield Finding("portal:not-running", f"{ever} {patient.data}.", f"Start it: {START}.")
    for name in PROCESSES:
        record = patient.data / "run" / f"{name}.json"
        process, _ = record_read(record)
        if patient.supervisor is None and process is not None:
            yield Finding(
                "process:left-behind",
                f"{name} (process {process.pid}) was left behind by a portal that was killed.",
                f"`make up` ends or adopts it; or `kill {process.pid}`.",
            )
        elif patient.supervisor is not None and process is None and record.exists():
            log = patient.data / "logs" / f"{name}.log"
            yield Finding("process:down", f"{name} ended and is about to be started again.", f"See {log}.")
    if patient.supervisor is None:
        for record in sorted((patient.data / "run").glob("*.json")):
            if record.name != "environment.json" and record_read(record)[0] is None:
                yield Finding(
                    "process:stale-record",
                    f"{record} names a process that is gone.",
                    "`manage.py doctor --fix` removes it.",
                    Severity.WARNING,
                    fix=_remover(record),
                )


def web_probe(patient: Patient) -> Iterator[Finding]:
    try:
        with urlopen(f"{settings.PORTAL_URL}/healthz", timeout=5):  # noqa: S310 - http(s) by setting
            return
    except HTTPError as error:
        said = f"answers {error.code}"
    except (URLError, OSError):
        said = "does not answer"
    yield Finding("web:down", f"{settings.PORTAL_URL} {said}.", "See the log of web; `systemctl restart slipway-web`.")


def port_probe(patient: Patient) -> Iterator[Finding]:
    """The wanted port, where no portal holds it; `make up` would take another."""
    if patient.expected:
        return
    port = int(os.environ.get("PORT", "").strip() or 8000)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            yield Finding(
                "port:taken",
                f"Port {port} is taken by another program.",
                f"`ss -ltnp 'sport = :{port}'` names it; or set PORT.",
                Severity.WARNING,
            )


def disk_probe(patient: Patient) -> Iterator[Finding]:
    disk = shutil.disk_usage(patient.data)
    share = disk.free / disk.total
    if share < DISK_LOW:
        yield Finding(
            "disk:full" if share < DISK_FULL else "disk:low",
            f"{share:.0%} of the disk of {patient.data} is free ({disk.free / 1e9:.1f} GB); below "
            f"{DISK_FULL:.0%} nothing is launched.",
            f"`du -xh --max-depth=3 {patient.data} | sort -h | tail` shows what is large.",
            Severity.FAULT if share < DISK_FULL else Severity.WARNING,
        )


FOLDERS = (".", "run", "keys", "logs", "agent", "agent/workspaces", "agent/volumes", "agent/services", "postgres")
FILES = ("password", "keys/*", "run/environment.json", "agent/secret", "agent/owners.json", "valkey/valkey.conf")


def modes_probe(patient: Patient) -> Iterator[Finding]:
    for patterns, wanted in ((FOLDERS, 0o700), (FILES, 0o600)):
        for pattern in patterns:
            for path in [patient.data] if pattern == "." else sorted(patient.data.glob(pattern)):
                yield from _mode_findings(path, wanted)


def _mode_findings(path: Path, wanted: int) -> Iterator[Finding]:
    seen = path.lstat()
    mode = stat.S_IMODE(seen.st_mode)
    if stat.S_ISLNK(seen.st_mode) or stat.S_ISSOCK(seen.st_mode) or not mode & 0o077:
        return

    def fix() -> str:
        path.chmod(wanted)
        return f"{path} has mode {wanted:o} now"

    yield Finding(
        "files:mode",
        f"{path} is open to other people of the machine (mode {mode:o}).",
        f"`chmod {wanted:o} {path}`",
        fix=fix,
    )


def sockets_probe(patient: Patient) -> Iterator[Finding]:
    """Sockets nobody listens on, which a killed process left."""
    if patient.supervisor is not None:
        return
    for folder in ("run", "agent/run", "agent/supervisor"):
        for path in sorted((patient.data / folder).glob("*")):
            if stat.S_ISSOCK(path.lstat().st_mode) and not _listens(path):
                yield Finding(
                    "socket:stale",
                    f"Nobody listens on {path}.",
                    f"`rm {path}`",
                    Severity.WARNING,
                    fix=_remover(path),
                )


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True


def _remover(path: Path) -> Callable[[], str]:
    def remove() -> str:
        path.unlink(missing_ok=True)
        return f"{path} was removed"

    return remove


def database_probe(patient: Patient) -> Iterator[Finding]:
    if not patient.database:
        said = _database_answers()
        cure = "`make up` keeps an embedded one" if patient.supervisor else "start PostgreSQL, or see DATABASE_URL"
        yield Finding("database:down", f"PostgreSQL does not answer: {said}", f"{cure}.")
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('server_version_num')::int / 10000, extract(epoch FROM clock_timestamp())"
        )
        version, now = cursor.fetchone()
    if version < OLDEST_POSTGRES:
        yield Finding("database:old", f"PostgreSQL {version} is older than {OLDEST_POSTGRES}.", "Upgrade the server.")
    skew = abs(float(now) - time.time())
    if skew > SKEW_SECONDS:
        yield Finding(
            "database:clock",
            f"The clocks of PostgreSQL and of this machine differ by {skew:.0f} s; leases and stop times go by them.",
            "Set both by NTP: `timedatectl set-ntp true`.",
        )
    executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        names = ", ".join(f"{migration.app_label}.{migration.name}" for migration, _ in pending[:3])
        yield Finding(
            "database:migrations",
            f"{len(pending)} migrations are not applied ({names}).",
            "`manage.py migrate`, or restart the portal with `make up`.",
        )


def sessions_probe(patient: Patient) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_session WHERE expire_date < now()")
        (expired,) = cursor.fetchone()
    if expired > EXPIRED_SESSIONS:
        yield Finding(
            "sessions:expired",
            f"{expired} expired sessions are kept; pruning does not keep up.",
            "`manage.py clearsessions`",
            Severity.WARNING,
        )


def broker_probe(patient: Patient) -> Iterator[Finding]:
    if not patient.broker:
        yield Finding("broker:down", "Valkey does not answer.", "Start it, or see BROKER_URL.")
        return
    with current_app.connection_for_write() as broker:
        waiting = int(broker.default_channel.client.llen(settings.CELERY_TASK_DEFAULT_QUEUE))
    if waiting > LONG_QUEUE:
        yield Finding(
            "queue:long",
            f"{waiting} tasks wait in the queue; workers do not keep up or do not run.",
            "`systemctl restart slipway-worker`; `celery -A portal purge` loses nothing: beat finds it again.",
        )


def worker_probe(patient: Patient) -> Iterator[Finding]:
    """Beat sends a heartbeat through the queue and a worker notes it: asking tells apart which of them is silent."""
    raw = cache.get(health.WORKER_HEARTBEAT)
    try:
        health._worker()
    except health.Unhealthy as reason:
        answers = current_app.control.ping(timeout=2.0)
        what = "never" if raw is None else str(reason).split(";")[0]
        if answers:
            yield Finding(
                "beat:silent",
                f"A worker answers, but beat sends nothing ({what}); nothing stops by itself and nothing is pruned.",
                "`systemctl restart slipway-beat`, or `make up`.",
            )
        else:
            yield Finding(
                "worker:silent",
                f"No worker answers ({what}); launches wait in line.",
                "`systemctl restart slipway-worker`, or `make up`.",
            )


def mlflow_probe(patient: Patient) -> Iterator[Finding]:
    try:
        health.mlflow_ask()
    except health.Unhealthy as reason:
        yield Finding(
            "mlflow:down",
            f"MLflow at {settings.MLFLOW_TRACKING_URI} {reason}; environments work, runs are not recorded.",
            "`systemctl restart slipway-mlflow`, or see MLFLOW_TRACKING_URI.",
        )


def keys_probe(patient: Patient) -> Iterator[Finding]:
    try:
        keys_known()
    except Exception as error:
        if patient.expected:
            yield Finding("keys:missing", str(error), "Put the keys back, or restore them from a backup.")
        return
    if not patient.database:
        return
    lost = keys_lost()
    if lost:
        yield Finding(
            "keys:lost",
            f"{lost_words(lost)[:1].upper()}{lost_words(lost)[1:]}.",
            "Put the key back as the last one of SLIPWAY_KEYS or its file; it is in every backup made before.",
        )
    for column, pk, unreadable in values_unreadable(limit=200):
        if unreadable.key_id not in lost:
            yield Finding(
                "keys:unreadable",
                f"One of the {column.words} cannot be opened ({column.model} {pk}): it was changed or cut off.",
                "Restore it from a backup; an environment's state is also in its folder on the machine.",
            )


register_probe("portal", portal_probe)
register_probe("port", port_probe)
register_probe("disk", disk_probe, needs=("folder",))
register_probe("file modes", modes_probe, needs=("folder",))
register_probe("sockets", sockets_probe, needs=("folder",))
register_probe("PostgreSQL", database_probe, needs=("portal",))
register_probe("Valkey", broker_probe, needs=("portal",))
register_probe("keys", keys_probe)
register_probe("web", web_probe, needs=("portal",))
register_probe("worker and beat", worker_probe, needs=("portal", "broker"))
register_probe("MLflow", mlflow_probe, needs=("portal",))
register_probe("sessions", sessions_probe, needs=("database",))
