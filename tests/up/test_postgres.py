"""The embedded PostgreSQL, really started."""

import os
import secrets
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from portal.up.postgres import SUPERUSER, EmbeddedPostgres
from portal.up.unprivileged import by_capability, by_namespace, unprivileged

Make = Callable[..., EmbeddedPostgres]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short path: unix sockets lie in it."""
    return tmp_path_factory.mktemp("pg")


@pytest.fixture
def make(folder: Path) -> Iterator[Make]:
    passwords = {SUPERUSER: secrets.token_urlsafe(16), "slipway": secrets.token_urlsafe(16)}
    made: list[EmbeddedPostgres] = []

    def make_server(**more: object) -> EmbeddedPostgres:
        sockets = folder / "s"
        sockets.mkdir(mode=0o700, exist_ok=True)
        server = EmbeddedPostgres(
            folder / "postgres",
            sockets,
            folder / "log",
            passwords,
            durable=False,
            **more,  # type: ignore[arg-type]
        )
        made.append(server)
        return server

    yield make_server
    for server in made:
        server.stop()


def value(server: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(server.url(role="slipway", database="slipway")) as connection:
        row = connection.execute(query).fetchone()  # type: ignore[arg-type]
        return row[0] if row else None


def started(server: EmbeddedPostgres) -> EmbeddedPostgres:
    server.start()
    server.ensure_role("slipway")
    server.ensure_database("slipway", owner="slipway")
    return server


def test_a_connection_needs_the_password(make: Make) -> None:
    server = started(make())
    for password in ("", "wrong"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=str(server.sockets), user=SUPERUSER, password=password or None, dbname="postgres")
    rules = (server.data / "pg_hba.conf").read_text(encoding="utf-8")
    assert "trust" not in [line.split()[-1] for line in rules.splitlines() if line and not line.startswith("#")]


def test_the_portals_role_is_no_superuser_and_databases_are_shut_to_others(make: Make) -> None:
    server = started(make())
    assert (
        value(server, "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = 'slipway'")
        is False
    )
    server.passwords["mlflow"] = "another"
    server.ensure_role("mlflow")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.url(role="mlflow", database="slipway"))


def test_no_tcp_port_and_private_folders(make: Make, folder: Path) -> None:
    before = {parent: parent.stat().st_mode for parent in folder.parents}
    server = started(make())
    assert value(server, "SELECT current_setting('listen_addresses')") == ""
    assert {parent: parent.stat().st_mode for parent in folder.parents} == before
    for path in (server.folder, server.data, server.sockets):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_data_outlives_a_restart(make: Make) -> None:
    server = started(make())
    with psycopg.connect(server.url(role="slipway", database="slipway")) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop()
    assert not server.running()
    server.start()
    assert value(server, "SELECT answer FROM kept") == 42


def test_a_killed_postmaster_is_started_again(make: Make) -> None:
    server = started(make())
    assert server.process
    server.process.send_signal(signal.SIGKILL)
    server.process.wait(10)
    assert (server.data / "postmaster.pid").exists()
    server.start()
    assert value(server, "SELECT 1") == 1


def test_one_left_running_is_ended_first(make: Make) -> None:
    left = started(make())
    again = make()
    again.start()
    assert left.process
    assert left.process.wait(10) == 0
    assert value(again, "SELECT 1") == 1


def test_a_pid_file_that_names_a_process_of_something_else(make: Make) -> None:
    server = started(make())
    server.stop()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n", encoding="utf-8")
    server.start()
    assert value(server, "SELECT 1") == 1


def test_half_a_data_directory_is_made_anew(make: Make) -> None:
    server = make()
    (server.folder / "data.new").mkdir(parents=True)
    (server.folder / "data.new" / "PG_VERSION").write_text("18\n", encoding="ascii")
    started(server)
    assert value(server, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="the two ways are for root only")
def test_root_may_change_from_one_way_to_the_other(make: Make) -> None:
    if unprivileged().way != "namespace":
        pytest.skip("this machine refuses user namespaces")
    server = started(make(unprivileged=by_namespace()))
    assert server.data.stat().st_uid == 0
    server.stop()
    server = make(unprivileged=by_capability())
    server.start()
    assert server.data.stat().st_uid != 0
    assert value(server, "SELECT 1") == 1
    server.stop()
    server = make(unprivileged=by_namespace())
    server.start()
    assert server.data.stat().st_uid == 0
    assert value(server, "SELECT 1") == 1
