"""The databases of a portal, embedded or of somebody's own: where they are, and dumping and restoring one.

pg_dump takes a snapshot: what it writes is one moment of the database, whatever goes on meanwhile.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from portal.keeping.errors import KeepingError
from portal.up.lock import UpLock
from portal.up.places import Places
from portal.up.postgres import SUPERUSER, EmbeddedPostgres, ServiceFailed, binaries
from portal.up.services import MLFLOW_ROLE, PORTAL_ROLE, external_database_ensure


@dataclass(frozen=True)
class Databases:
    """`mlflow` is None where the MLflow server and its database are somebody else's."""

    portal: str
    mlflow: str | None
    embedded: bool


@contextmanager
def databases_found(places: Places) -> Iterator[Databases]:
    """The databases as they run; the embedded server is started for the while where the portal does not run.

    Raises KeepingError where there is none to be found.
    """
    given = os.environ.get("DATABASE_URL", "").strip()
    if given:
        made_here = (places.data / "postgres" / "data" / "PG_VERSION").exists()
        embedded = made_here and str(places.sockets) in given.replace("%2F", "/")
        yield Databases(given, _mlflow_url(places, given, embedded=embedded), embedded)
        return
    if not (places.data / "postgres" / "data" / "PG_VERSION").exists():
        raise KeepingError(f"There is no portal in {places.data}, and DATABASE_URL is not given.")
    lock = UpLock(places)
    if not lock.acquire():
        raise KeepingError("The portal is starting or ending just now: try again when it runs or has ended.")
    server = embedded_server(places)
    try:
        server.start()
        portal = server.url(role=PORTAL_ROLE, database=PORTAL_ROLE)
        yield Databases(portal, _mlflow_url(places, portal, embedded=True), True)
    except ServiceFailed as error:
        raise KeepingError(str(error)) from None
    finally:
        server.stop()
        lock.release()


@contextmanager
def databases_made(places: Places, *, mlflow: bool) -> Iterator[Databases]:
    """Empty databases to restore into. Raises KeepingError where one of somebody's own is not empty."""
    given = os.environ.get("DATABASE_URL", "").strip()
    if given:
        store = os.environ.get("MLFLOW_BACKEND_STORE_URI", "").strip() if mlflow else ""
        if mlflow and not store and not os.environ.get("MLFLOW_TRACKING_URI", "").strip():
            store = external_database_ensure(given)
        for url in filter(None, (given, store)):
            _empty_check(libpq_url(url))
        yield Databases(given, libpq_url(store) if store else None, False)
        return
    server = embedded_server(places)
    try:
        server.start()
        for role in (PORTAL_ROLE, MLFLOW_ROLE):
            server.ensure_role(role)
            server.ensure_database(role, owner=role)
        store = server.url(role=MLFLOW_ROLE, database=MLFLOW_ROLE)
        yield Databases(server.url(role=PORTAL_ROLE, database=PORTAL_ROLE), store if mlflow else None, True)
    except ServiceFailed as error:
        raise KeepingError(str(error)) from None
    finally:
        server.stop()


def embedded_server(places: Places) -> EmbeddedPostgres:
    passwords = {role: places.secret(f"postgres-{role}") for role in (SUPERUSER, PORTAL_ROLE, MLFLOW_ROLE)}
    return EmbeddedPostgres(places.data / "postgres", places.sockets, places.log("postgres"), passwords)


def _mlflow_url(places: Places, portal: str, *, embedded: bool) -> str | None:
    if given := os.environ.get("MLFLOW_BACKEND_STORE_URI", "").strip():
        return libpq_url(given)
    if not (places.data / "mlflow").exists():
        return None
    if embedded:
        return embedded_server(places).url(role=MLFLOW_ROLE, database=MLFLOW_ROLE)
    parts = urlsplit(portal)
    return urlunsplit(parts._replace(path=f"{parts.path}_mlflow"))


def libpq_url(url: str) -> str:
    """Without the driver that SQLAlchemy wants in the scheme."""
    return re.sub(r"\Apostgres(ql)?(\+\w+)?://", "postgresql://", url)


def dump(url: str, target: Path) -> None:
    """The whole database into one file. Raises KeepingError with what pg_dump says."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        version = connection.info.server_version // 10000
    _run([_tools("pg_dump", version)[0], "--format=custom", "--no-owner", "--no-privileges", f"--file={target}"], url)


def load(url: str, source: Path) -> None:
    """A dump into an empty database, whole or not at all.

    By the oldest client that fits the server and reads the dump: a newer one sets what an older server does not know.
    """
    with psycopg.connect(url, connect_timeout=10) as connection:
        version = connection.info.server_version // 10000
    readers = [tool for tool in _tools("pg_restore", version) if _reads(tool, source)]
    if not readers:
        raise KeepingError(
            f"No pg_restore here reads this dump for PostgreSQL {version}: it was made by a newer PostgreSQL. Restore "
            "into one of at least that version."
        )
    _run(
        [readers[0], "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]
        + [f"--dbname={psycopg.conninfo.conninfo_to_dict(url)['dbname']}", str(source)],
        url,
    )


def _reads(tool: str, source: Path) -> bool:
    return subprocess.run([tool, "--list", str(source)], capture_output=True, env={}, check=False).returncode == 0


def _tools(name: str, server: int) -> list[str]:
    """Clients of at least the server's version, the embedded one and the machine's, the older first.

    Raises KeepingError where there is none.
    """
    found: list[tuple[int, str]] = []
    try:
        candidates = [str(binaries() / name), shutil.which(name)]
    except ServiceFailed:
        candidates = [shutil.which(name)]
    for candidate in candidates:
        if candidate and Path(candidate).exists():
            said = subprocess.run(
                [candidate, "--version"], capture_output=True, text=True, check=False, env={"PATH": os.defpath}
            ).stdout
            if match := re.search(r"(\d+)(\.\d+)*", said):
                found.append((int(match[1]), candidate))
    fitting = sorted(item for item in found if item[0] >= server)
    if not fitting:
        raise KeepingError(f"There is no {name} of version {server} or newer: install PostgreSQL's client programs.")
    return [path for _, path in fitting]


def _run(command: list[str], url: str) -> None:
    """The password goes in by the environment: arguments are for everybody on the machine to read."""
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    names |= {"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "hostaddr": "PGHOSTADDR"}
    parts = psycopg.conninfo.conninfo_to_dict(url)
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
    environ |= {names[key]: str(value) for key, value in parts.items() if key in names and value is not None}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise KeepingError(f"{Path(command[0]).name} could not do its work:\n{said}")


def _empty_check(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=10) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
            ).fetchone()
    except psycopg.Error as error:
        raise KeepingError(f"The database does not answer: {error}") from None
    if row and row[0]:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        raise KeepingError(f"The database {name} is not empty: make an empty one. Nothing was changed.")
