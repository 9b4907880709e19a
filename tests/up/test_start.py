"""The whole portal, started as people start it: `manage.py up` in a process of its own on a data folder of its own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from portal.up.process import started_at

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 120
END_SECONDS = 120
# Set for the tests; a portal of its own must find its own.
NOT_INHERITED = {"DATABASE_URL", "BROKER_URL", "SECRET_KEY", "SLIPWAY_KEYS", "DJANGO_SETTINGS_MODULE"}


@dataclass
class Up:
    """A running `manage.py up` and what it said."""

    process: subprocess.Popen[bytes]
    data: Path
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def await_said(self, pattern: str, seconds: float = START_SECONDS) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = re.search(pattern, self.said())
            if found:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(f"{pattern!r} was not said:\n{self.said()}")

    def url(self) -> str:
        return self.await_said(r"The page answers at (http://\S+/)").group(1)

    def remaining(self) -> list[str]:
        """Every process that still lives and belongs to this data folder."""
        marker = f"SLIPWAY_DATA={self.data}".encode()
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or started_at(int(entry)) is None:
                continue
            try:
                environ = Path(f"/proc/{entry}/environ").read_bytes()
                command = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if marker in environ.split(b"\0") or str(self.data).encode() in command:
                found.append(f"{entry} {command.decode()}")
        return found

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(END_SECONDS)


@pytest.fixture
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Up]]:
    data = tmp_path_factory.mktemp("up") / "d"
    running: list[Up] = []

    def start(**environ: str) -> Up:
        log = data.parent / f"out{len(running)}"
        own = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        own |= {"SLIPWAY_DATA": str(data), "DEMO": "0", "PREBUILD": "0", "PORT": str(free_port()), **environ}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(ROOT / "manage.py"), "up"],
                cwd=ROOT,
                env=own,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running.append(Up(process, data, log))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.end()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def await_ready(up: Up, seconds: float = START_SECONDS) -> None:
    """Until /readyz finds database, broker, MLflow and worker."""
    url = up.url() + "readyz"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status, body = get(url)
        if status == 200:
            return
        time.sleep(0.5)
    raise AssertionError(f"not ready: {body}\n{up.said()}")


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_from_nothing_to_ready_and_to_nothing_again(up: Callable[..., Up]) -> None:
    one = up()
    assert get(one.url() + "healthz")[0] == 200
    one.await_said("To end it")
    await_ready(one)
    # Commands in another terminal work on the running portal's database without being told where it is.
    elsewhere = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--check"]
    subprocess.run(command, env={**elsewhere, "SLIPWAY_DATA": str(one.data)}, check=True, capture_output=True)

    modes = {path.name: path.stat().st_mode & 0o777 for path in one.data.iterdir() if path.is_dir()}
    assert set(modes.values()) == {0o700}, modes

    again = up()
    assert again.process.wait(START_SECONDS) == 0
    assert f"runs here already: {one.url()}" in again.said()

    assert one.end(signal.SIGTERM) == 0
    assert one.remaining() == []
    assert "was killed" not in one.said()
    assert "Everything has ended" in one.said()


# The short suite kills a portal with all that runs in it in tests/faults/test_whole_portal.py.
@pytest.mark.matrix
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_after_a_kill_of_everything_the_next_start_works_with_the_same_data(up: Callable[..., Up]) -> None:
    first = up()
    first.await_said("To end it")
    key = (first.data / "keys" / "secret_key").read_text(encoding="utf-8")
    for name in ("worker", "web"):
        os.kill(json.loads((first.data / "run" / f"{name}.json").read_text(encoding="utf-8"))["pid"], signal.SIGKILL)
    first.process.kill()
    first.process.wait(10)

    second = up()
    assert get(second.url() + "healthz")[0] == 200
    second.await_said("To end it")
    assert "migrated" not in second.said(), "the data directory was made anew"
    assert (second.data / "keys" / "secret_key").read_text(encoding="utf-8") == key
    second.end(signal.SIGINT)
    assert second.remaining() == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_taken_port_and_a_killed_web_process(up: Callable[..., Up]) -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        taken = owner.getsockname()[1]
        one = up(PORT=str(taken))
        url = one.url()
        assert f":{taken}/" not in url
        assert f"Port {taken} is taken" in one.said()
    one.await_said("To end it")
    web = json.loads((one.data / "run" / "web.json").read_text(encoding="utf-8"))["pid"]
    os.kill(web, signal.SIGKILL)
    one.await_said("web was ended by SIGKILL; starting it again in 1 s")
    # The address stays open meanwhile: this request waits for the new process.
    assert get(url + "healthz")[0] == 200
    one.end()
    assert one.remaining() == []


@pytest.mark.slow
def test_an_end_in_the_middle_of_the_start(up: Callable[..., Up]) -> None:
    one = up()
    one.await_said("PostgreSQL is ready")
    assert one.end(signal.SIGHUP) == 0
    assert one.remaining() == []


@pytest.mark.parametrize(
    ("name", "value", "cure"),
    [
        ("PORT", "eighty", "whole number"),
        ("DEMO", "perhaps", "1 or 0"),
        ("DATABASE_URL", "mysql://localhost/x", "postgresql://"),
        ("SLIPWAY_DATA", "/proc/slipway", ""),
        ("BIND", "192.0.2.1", "no address"),
    ],
)
def test_a_malformed_setting_stops_the_start_and_is_named(
    up: Callable[..., Up], name: str, value: str, cure: str
) -> None:
    one = up(**{name: value})
    assert one.process.wait(START_SECONDS) == 2
    said = one.said()
    assert name in said
    assert cure in said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_services_of_somebodys_own_are_used_and_left_running(up: Callable[..., Up]) -> None:
    database, broker = os.environ["DATABASE_URL"], os.environ["BROKER_URL"]
    one = up(DATABASE_URL=database, BROKER_URL=broker)
    await_ready(one)
    assert not (one.data / "postgres").exists()
    assert not (one.data / "valkey").exists()
    one.end()
    assert one.remaining() == []
    with psycopg.connect(database) as connection:
        names = {name for (name,) in connection.execute("SELECT datname FROM pg_database").fetchall()}
        assert "slipway_mlflow" in names
        assert connection.execute("SELECT to_regclass('accounts_user')").fetchone() != (None,)
    with redis.Redis.from_url(broker) as client:
        assert client.ping()
