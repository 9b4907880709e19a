"""What the supervisor stands on: private folders, ports, one-portal locks, process identities."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal.up.child import Child
from portal.up.lock import UpLock
from portal.up.places import SOCKET_FOLDER_MAXIMUM, Places, folder_private
from portal.up.ports import AddressUnusable, portal_sockets_bind
from portal.up.process import ProcessIdentity, log_rotate, record_read, record_write, session_members, spawn

ENVIRON = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(folder_private(tmp_path / "data"))


def test_secrets_are_made_once_and_are_private(places: Places) -> None:
    assert places.secret("one") == places.secret("one") != places.secret("two")
    assert len(places.secret("one")) == 43
    assert stat.S_IMODE((places.keys / "one").stat().st_mode) == 0o600


def test_a_wide_folder_of_our_own_is_tightened(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    assert stat.S_IMODE(folder_private(tmp_path / "data").stat().st_mode) == 0o700


def test_a_long_path_gets_a_short_private_socket_folder(tmp_path: Path) -> None:
    data = tmp_path / ("x" * SOCKET_FOLDER_MAXIMUM)
    sockets = Places(data).sockets
    try:
        assert len(str(sockets)) <= SOCKET_FOLDER_MAXIMUM
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert Places(data).sockets == sockets
        sockets.chmod(0o777)
        replaced = Places(data).sockets
        assert replaced != sockets
        replaced.rmdir()
    finally:
        sockets.rmdir()


def test_a_taken_port_gives_the_next_free_one() -> None:
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        taken = owner.getsockname()[1]
        found = portal_sockets_bind("127.0.0.1", taken)
        assert found.port != taken
        found.close()


def test_an_address_of_another_machine_is_refused_with_the_settings_name() -> None:
    with pytest.raises(AddressUnusable, match="BIND"):
        portal_sockets_bind("192.0.2.1", 8000)


def test_the_lock_is_for_one_and_names_its_holder(places: Places) -> None:
    first, second = UpLock(places), UpLock(places)
    assert first.acquire()
    assert not second.acquire()
    first.publish(state="running", url="http://localhost:8000/")
    process, state, url = second.holder()
    assert process
    assert (process.pid, state, url) == (os.getpid(), "running", "http://localhost:8000/")
    first.release()
    assert second.acquire()
    second.release()


def test_a_record_names_one_process_ever(tmp_path: Path) -> None:
    me = ProcessIdentity.of(os.getpid())
    assert me
    record_write(tmp_path / "a.json", me)
    assert record_read(tmp_path / "a.json")[0] == me
    record_write(tmp_path / "a.json", ProcessIdentity(me.pid, me.started + 1, me.boot))
    assert record_read(tmp_path / "a.json")[0] is None
    record_write(tmp_path / "a.json", me)
    (tmp_path / "copied").mkdir()
    (tmp_path / "a.json").rename(tmp_path / "copied" / "a.json")
    assert record_read(tmp_path / "copied" / "a.json")[0] is None


def test_a_child_does_not_outlive_its_killed_parent(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from portal.up.process import spawn\n"
        "child = spawn(['sleep', '300'], log=Path(sys.argv[1]), environ={'PATH': '/usr/bin:/bin'}, folder=Path('/'),"
        " death_signal=signal.SIGTERM)\n"
        "print(child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    shown = subprocess.run([sys.executable, "-c", program, tmp_path / "log"], capture_output=True, text=True)
    assert shown.stdout, shown.stderr
    assert ended(int(shown.stdout))


def test_a_crashed_child_is_started_again_after_a_pause(places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    child = Child("crashing", ["sh", "-c", "echo why; exit 3"], places, ENVIRON, Path("/"), pause=0.1)
    child.start()
    first = child.process
    deadline = time.monotonic() + 10
    while child.process is first and time.monotonic() < deadline:
        child.watch()
        time.sleep(0.02)
    assert child.process is not first
    child.finish(0)
    told = capsys.readouterr().out
    assert "crashing ended with code 3" in told
    assert "why" in told


def test_a_child_takes_what_it_started_with_it(places: Places) -> None:
    child = Child("family", ["sh", "-c", "sleep 300 & sleep 300"], places, ENVIRON, Path("/"))
    child.start()
    assert child.process
    leader = ProcessIdentity.of(child.process.pid)
    assert leader
    deadline = time.monotonic() + 5
    while len(session_members(leader)) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    child.signal(signal.SIGTERM)
    child.finish(time.monotonic() + 5)
    assert session_members(leader) == []


def test_a_leftover_is_ended_by_its_record(places: Places) -> None:
    left = spawn(
        ["sleep", "300"], log=places.log("left"), environ=ENVIRON, folder=Path("/"), death_signal=signal.SIGTERM
    )
    identity = ProcessIdentity.of(left.pid)
    assert identity
    child = Child("left", [], places, {}, Path("/"))
    record_write(child.record, identity)
    assert child.leftover_end()
    assert left.wait(5) == -signal.SIGTERM


def ended(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while ProcessIdentity.of(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return ProcessIdentity.of(pid) is None


def test_the_log_of_a_running_process_begins_anew_and_loses_nothing_young(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEP_PORTAL_LOG_MEGABYTES", "1")
    log = places.log("chatty")
    code = "import time\nprint('x' * 1_200_000, flush=True)\nprint('before', flush=True)\n"
    code += "while True:\n    print('tick', flush=True)\n    time.sleep(0.05)"
    process = spawn(
        [sys.executable, "-c", code], log=log, environ=ENVIRON, folder=places.data, death_signal=signal.SIGKILL
    )
    try:
        deadline = time.monotonic() + 20
        while b"tick" not in log.read_bytes()[-200:]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert log_rotate(log)
        older = log.with_suffix(".old.log")
        assert older.stat().st_size <= 1_000_000
        assert stat.S_IMODE(older.stat().st_mode) == 0o600
        assert b"before" in older.read_bytes()
        time.sleep(0.5)
        young = log.read_bytes()
        assert young.startswith(b"tick")
        assert b"\0" not in young
        assert not log_rotate(log)
    finally:
        process.kill()
        process.wait()
