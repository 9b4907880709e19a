"""Services that take all they can get: processes, memory, disk. Bounded, told in words, and nobody else suffers."""

import http.client
import os
import time
from pathlib import Path

import pytest

from apps.provisioning.machine import disk
from apps.provisioning.machine.trees import tree_remove, tree_used_bytes
from tests.isolation.conftest import LEVELS, Remote, bench_on
from tests.provisioning.machine.conftest import SERVER, Bench, bench_make, root

__all__ = ["bench_make", "root"]

# Both wait for the test's word: a service that is still starting would not come up beside them.
WAIT = """
import os, time
while not os.path.exists('go'):
    time.sleep(0.1)
"""
# Every fork leaves a process that sleeps: the bomb's effect without its noise.
FORKS = f"""{WAIT}
made = 0
try:
    while made < 4000:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        made += 1
except OSError as error:
    print('FORKS', made, type(error).__name__, flush=True)
else:
    print('FORKS', made, 'no end', flush=True)
"""
BOMB = f"""{WAIT}
while True:
    try: os.fork()
    except OSError: pass
"""
WRITER = """
import os, time
with open(os.path.join({folder!r}, 'filler'), 'ab') as file:
    for _ in range({megabytes}):
        file.write(os.urandom(1 << 20))
        file.flush()
"""


def neighbour_of(remote: Remote) -> tuple[Bench, dict]:
    bench = bench_on(remote)
    return bench, bench.service()


def beside_the_server(code: str) -> list[str]:
    """A program that starts `code` beside the service, which goes on answering."""
    return [
        "-c",
        f"import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', {code!r}])\nexec(open('server.py').read())",
    ]


def start(bench: Bench, code: str, **changes) -> dict:
    assert bench.ask("PUT", "/v1/volumes/home", {"files": {"server.py": SERVER}})[0] in (200, 201)
    body = bench.service_body(**changes)
    body["command"] = [body["command"][0], *beside_the_server(code)]
    status, service = bench.ask("PUT", "/v1/services/app", body)
    assert status in (200, 201), service
    return service


@pytest.mark.parametrize("level", [LEVELS[0], *[pytest.param(level, marks=pytest.mark.matrix) for level in LEVELS[1:]]])
def test_forks_come_to_an_end_and_the_neighbour_answers(remote_make, level):
    remote = remote_make(level, processes=300)
    neighbour, service = neighbour_of(remote)
    greedy = bench_on(remote)
    start(greedy, FORKS)
    remote.volume(greedy.workspace).joinpath("go").touch()
    deadline = time.monotonic() + 60
    while "FORKS" not in (log := remote.log_tail(greedy.workspace, "app")[0]):
        assert time.monotonic() < deadline, log
        time.sleep(0.2)
    made, how = log.partition("FORKS ")[2].split()[:2]
    assert (int(made) < 320, how) == (True, "BlockingIOError")
    _answers(neighbour, service)
    assert greedy.ask("DELETE", "/v1/services/app")[0] == 204
    assert not [path for path in Path("/proc").glob("[0-9]*") if _is_of(path, greedy.workspace)]


@pytest.mark.matrix
@pytest.mark.parametrize("level", LEVELS)
def test_a_fork_bomb_leaves_the_neighbour_answering(remote_make, level):
    remote = remote_make(level)
    neighbour, service = neighbour_of(remote)
    greedy = bench_on(remote)
    start(greedy, BOMB, cpu=1.0)
    remote.volume(greedy.workspace).joinpath("go").touch()
    for _look in range(30):
        _answers(neighbour, service)
        time.sleep(0.25)
    assert greedy.ask("DELETE", "/v1/services/app")[0] == 204


def _answers(neighbour: Bench, service: dict) -> None:
    """Within fifteen seconds: with Landlock alone it begins no thread until the other's processes have been ended."""
    deadline = time.monotonic() + 15
    while True:
        try:
            assert neighbour.get(service)["pid"]
            return
        except (http.client.HTTPException, OSError):
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.mark.parametrize("level", [LEVELS[0], *[pytest.param(level, marks=pytest.mark.matrix) for level in LEVELS[1:]]])
def test_memory_ends_what_takes_it_and_says_so(remote_make, level):
    remote = remote_make(level)
    neighbour, service = neighbour_of(remote)
    greedy = bench_on(remote)
    eater = start(greedy, "pass", memory_mb=150)
    with pytest.raises((http.client.HTTPException, OSError)):
        greedy.get(eater, "/eat")
    deadline = time.monotonic() + 20
    while (seen := greedy.ask("GET", "/v1/services/app")[1])["status"] != "out_of_memory":
        assert time.monotonic() < deadline, seen
        time.sleep(0.2)
    assert "150 MB of memory reached" in seen["reason"]
    assert neighbour.get(service)["pid"]


def _is_of(path: Path, workspace: str) -> bool:
    try:
        return f"SLIPWAY_SERVICE_ID={workspace}/app".encode() in (path / "environ").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("place", ["/workspace", "/tmp"])
def test_a_volume_over_its_limit_is_stopped_and_can_make_room(bench_make, place, monkeypatch):
    monkeypatch.setattr(disk, "MEASURE_EVERY_S", 0.5)
    bench = bench_make()
    if bench.machine.isolation == "landlock":
        pytest.skip("paths are those of the host")
    bench.volume(size_limit_mb=40)
    body = bench.service_body()
    body["command"] = [body["command"][0], *beside_the_server(WRITER.format(folder=place, megabytes=200))]
    assert bench.ask("PUT", "/v1/services/app", body)[0] == 201
    seen = bench.wait(lambda entry: entry.status == "out_of_disk")
    assert "more than the 40 MB of this environment" in seen.reason
    assert "Nothing was deleted" in seen.reason
    assert ("in /tmp" in seen.reason) == (place == "/tmp")
    assert bench.machine.services.resume() == [], "not started by the machine itself"
    time.sleep(1)
    assert bench.observed().status == "out_of_disk"

    service = bench.service(environment={"AGAIN": "1"})
    time.sleep(2)
    assert bench.observed().status == "running", "a person may come in and delete"
    if place == "/workspace":
        assert bench.observed().disk_bytes > 40 << 20
        bench.machine.volumes.path(bench.workspace, "home").joinpath("filler").unlink()
        bench.wait(lambda entry: entry.disk_bytes < 40 << 20)
    assert bench.get(service)["pid"]


def test_the_reserve_is_kept_by_stopping_who_writes(bench_make, root, monkeypatch):
    monkeypatch.setattr(disk, "MEASURE_EVERY_S", 0.5)
    root.parent.mkdir(exist_ok=True)
    free = disk.free_bytes(root.parent)[0]
    bench = bench_make(disk_reserve_bytes=free - (300 << 20))
    neighbour = type(bench)(bench.machine)
    quiet = neighbour.service()
    bench.volume()
    body = bench.service_body()
    body["command"] = [body["command"][0], *beside_the_server(WRITER.format(folder=".", megabytes=1500))]
    assert bench.ask("PUT", "/v1/services/app", body)[0] == 201
    seen = bench.wait(lambda entry: entry.status == "out_of_disk", 60)
    assert "The machine's disk is full" in seen.reason
    assert neighbour.get(quiet)["pid"]
    assert neighbour.observed().status == "running"
    refused = bench.ask("PUT", "/v1/volumes/another", {})
    assert (refused[0], refused[1]["code"]) == (422, "machine:disk-full")


def test_a_repository_larger_than_the_volume_is_not_cloned(bench_make, tmp_path):
    import subprocess

    tmp_path.chmod(0o755)
    origin = tmp_path / "origin"
    commands = (["init", "-q", str(origin)], ["-C", str(origin), "add", "."], ["-C", str(origin), "commit", "-qm", "x"])
    for command in commands:
        if command[-1] == ".":
            (origin / "large").write_bytes(os.urandom(30 << 20))
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *command], check=True)
    bench = bench_make()
    body = {"repository": f"file://{origin}", "size_limit_mb": 5}
    status, answer = bench.ask("PUT", "/v1/volumes/home", body)
    assert (status, answer["code"]) == (422, "machine:volume-full")
    assert bench.ask("GET", "/v1/volumes/home")[0] == 404


def test_trees_deeper_than_any_path_are_measured_and_deleted(tmp_path):
    """Walked by a recursion both fail, and the environment can be neither shown nor destroyed."""
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for _level in range(1500):
            os.mkdir("deep")
            os.chdir("deep")
        Path("file").write_bytes(b"x" * 100_000)
    finally:
        os.fchdir(here)
        os.close(here)
    assert 100_000 <= tree_used_bytes(top) < 100 << 20
    tree_remove(top)
    assert list(tmp_path.iterdir()) == []
