"""Dumps of a server of somebody's own, which may be older than the embedded one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portal.keeping.databases import dump, load
from portal.keeping.errors import KeepingError

OLDER = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
pytestmark = pytest.mark.skipif(
    not OLDER or shutil.which("pg_dump") is None, reason="no PostgreSQL of the machine's own is installed"
)


@pytest.fixture
def server() -> Iterator[str]:
    """A URL with a place for the database's name; the server of the machine's packages, as an ordinary user."""
    account = pwd.getpwnam("postgres" if any(one.pw_name == "postgres" for one in pwd.getpwall()) else "nobody")
    folder = Path(tempfile.mkdtemp(prefix="slpg-"))
    other = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
    if other:
        os.chown(folder, account.pw_uid, account.pw_gid)
    run = {"check": True, "capture_output": True, "cwd": folder, "env": {"PATH": "/usr/bin:/bin"}, **other}
    binaries, data = OLDER[0], folder / "data"
    subprocess.run([binaries / "initdb", "-D", data, "-A", "trust", "-U", "slipway", "--no-sync"], **run)  # type: ignore[call-overload]
    options = f"-c listen_addresses= -c fsync=off -k {folder}"
    control = [binaries / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*control, "-o", options, "start"], **run)  # type: ignore[call-overload]
    folder.chmod(0o755)
    try:
        for name in ("first", "second"):
            with psycopg.connect(f"postgresql://slipway@/postgres?host={folder}", autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        yield f"postgresql://slipway@/%s?host={folder}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)


def test_a_database_of_an_older_server_comes_back(server: str, tmp_path: Path) -> None:
    with psycopg.connect(server % "first") as connection:
        connection.execute("CREATE TABLE kept (x int PRIMARY KEY)")
        connection.execute("INSERT INTO kept VALUES (7)")
    dump(server % "first", tmp_path / "dump")
    load(server % "second", tmp_path / "dump")
    with psycopg.connect(server % "second") as connection:
        assert connection.execute("SELECT x FROM kept").fetchall() == [(7,)]


def test_what_is_no_dump_is_told(server: str, tmp_path: Path) -> None:
    (tmp_path / "dump").write_text("hello")
    with pytest.raises(KeepingError, match="pg_restore"):
        load(server % "second", tmp_path / "dump")
