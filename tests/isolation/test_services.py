"""A colleague's terminal against everything else on the machine, as root and as an ordinary user, at every level."""

import json
import os
import socket
import stat
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.conftest import LEVELS, Remote, bench_on
from tests.provisioning.machine.conftest import SERVER, Bench

ATTACKS = (Path(__file__).parent / "attacks.py").read_text()
MEMORY_MB = 256
DEPTH = 1300
# What a level cannot refuse, exactly; THREAT_MODEL.md says so of each.
KNOWN = {
    # The host's own; a same user's files in it are open.
    "landlock": {"/dev/shm"},
    # Its own: nothing of anybody else is in it.
    "bubblewrap": {"System V memory"},
    "bubblewrap+uid": {"System V memory"},
}


def given(remote: Remote, own: Bench, neighbour: Bench, service: dict[str, Any], stopped: int) -> dict[str, Any]:
    """What somebody could find out or guess, and more: addresses, ids and numbers of all there is to attack."""
    agent = remote.root / "agent"
    database = urllib.parse.urlsplit(os.environ["DATABASE_URL"])
    folder = Path(urllib.parse.parse_qs(database.query)["host"][0])
    secret_files = [agent / "secret", agent / "supervisor" / "password", remote.root / "portal-key"]
    records = agent / "services" / neighbour.workspace / "app"
    return {
        "canary": remote.canary,
        "level": remote.isolation,
        "files": [
            *map(str, secret_files), str(agent), str(agent / "services"), str(agent / "volumes"), str(agent / "logs"),
            str(records / "service.json"), str(records / "launch.json"), str(records / "state.json"), str(remote.root),
            str(remote.volume(neighbour.workspace)), str(remote.volume(neighbour.workspace) / "private"), "/etc/shadow",
            f"/proc/{remote.said['portal']}/environ", f"/proc/{remote.process.pid}/environ", "/root/.bashrc",
            str(Path(__file__).resolve().parents[2] / "manage.py"), str(folder),
        ],
        "pids": [remote.said["portal"], os.getpid(), remote.process.pid, *pids_of(neighbour)],
        "neighbour": neighbour.workspace,
        "neighbour_file": str(remote.volume(neighbour.workspace) / "private"),
        "neighbour_folder": str(remote.volume(neighbour.workspace)),
        "neighbour_port": service["port"],
        "stopped_port": stopped,
        "agent_socket": str(remote.socket_path),
        "supervisor_socket": str(agent / "supervisor" / "s.sock"),
        "abstract": f"slipway-{own.workspace}",
        "postgres": str(next(folder.glob(".s.PGSQL.*[0-9]"))),
        "valkey": urllib.parse.urlsplit(os.environ["BROKER_URL"]).port,
        "memory_bytes": MEMORY_MB << 20,
        "runtime": str(Path(__file__).resolve().parents[2]),
        "depth": DEPTH,
        "links": {
            "to_passwd": "/etc/passwd", "to_neighbour": str(remote.volume(neighbour.workspace)),
            "to_key": str(agent / "secret"), "to_root": "/", "loop": "loop",
        },
    }  # fmt: skip


def pids_of(bench: Bench) -> list[int]:
    """Processes of the environment, as the host numbers them."""
    marker = f"SLIPWAY_SERVICE_ID={bench.workspace}/app".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (path / "environ").read_bytes().split(b"\0"):
                found.append(int(path.name))
        except OSError:
            continue
    return found


def stopped_service(remote: Remote) -> int:
    """The port of a third environment whose notebook is stopped and will come back there."""
    third = bench_on(remote)
    port = int(third.service()["port"])
    third.service(running=False)
    return port


def attack(bench: Bench, told: dict[str, Any]) -> dict[str, str]:
    files = {"server.py": SERVER, "attack.py": ATTACKS, "told.json": json.dumps(told)}
    status, answer = bench.ask("PUT", "/v1/volumes/home", {"files": files})
    assert status == 201, answer
    body = bench.service_body(memory_mb=MEMORY_MB, health_timeout_s=60)
    python, server = body["command"]
    body["command"] = ["/bin/sh", "-c", '"$0" attack.py told.json; exec "$0" "$1"', python, server]
    status, answer = bench.ask("PUT", "/v1/services/app", body)
    log = bench.machine.log_tail(bench.workspace, "app")[0]
    assert status == 201, (answer, log)
    line = next(line for line in log.splitlines() if line.startswith("REPORT "))
    return dict(json.loads(line.removeprefix("REPORT ")))


@pytest.mark.parametrize("level", LEVELS)
def test_everything_else_is_out_of_reach(remote_make, level):
    remote = remote_make(level)
    own, neighbour = bench_on(remote), bench_on(remote)
    assert (
        neighbour.ask("PUT", "/v1/volumes/home", {"files": {"server.py": SERVER, "private": remote.canary}})[0] == 201
    )
    service = neighbour.service()
    (remote.root / "portal-key").write_text(remote.canary)
    (remote.root / "portal-key").chmod(0o600)
    os.chown(remote.root / "portal-key", remote.said["uid"], -1)
    told = given(remote, own, neighbour, service, stopped_service(remote))
    before = owners(remote, neighbour)
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + told["abstract"])
        abstract.listen()
        report = attack(own, told)

    assert report.pop("own ports") == "works"
    assert report.pop("traps") == "left"
    assert_refused(report, KNOWN[remote.isolation])
    assert own.client(neighbour.workspace)("GET", "/v1/health")[1]["isolation"] == remote.isolation
    assert neighbour.get(service)["environ"], "the neighbour's service goes on"
    assert owners(remote, neighbour) == before
    the_agent_falls_into_nothing(remote, own, neighbour, before)


def assert_refused(report: dict[str, str], known: set[str]) -> None:
    # Left in a volume that is shut to every other account, so that nobody can run it.
    known_words = {"set-user-id": "left"}
    reached = {
        name: said
        for name, said in report.items()
        if not said.startswith("refused") and not said.startswith(known_words.get(name, "refused"))
    }
    assert reached.keys() <= known, reached


def owners(remote: Remote, bench: Bench) -> dict[str, tuple[int, int, int]]:
    """Owner, mode and size of what the traps point at."""
    paths = [
        Path("/etc/passwd"),
        Path("/"),
        remote.root / "agent" / "secret",
        remote.volume(bench.workspace) / "private",
    ]
    found = {path: path.stat() for path in [*paths, remote.volume(bench.workspace)]}
    return {str(path): (entry.st_uid, stat.S_IMODE(entry.st_mode), entry.st_size) for path, entry in found.items()}


def the_agent_falls_into_nothing(remote: Remote, own: Bench, neighbour: Bench, before: Any) -> None:
    """Measuring, stopping, adopting and deleting a volume full of links and of a tree deeper than any path."""
    status, volume = own.ask("GET", "/v1/volumes/home")
    assert status == 200, volume
    assert volume["used_bytes"] < 100 << 20, "no link was followed"
    assert own.ask("PUT", "/v1/volumes/home", {"files": {"to_key": "overwritten", "to_passwd": "x"}})[0] == 200
    assert own.ask("DELETE", "/v1/services/app")[0] == 204
    assert own.ask("DELETE", "/v1/volumes/home")[0] == 204
    assert not remote.volume(own.workspace).exists()
    assert owners(remote, neighbour) == before
    assert (remote.volume(neighbour.workspace) / "private").read_text() == remote.canary
    assert not list((remote.root / "agent" / "volumes").rglob(".deleted-*"))


def test_tokens_open_one_environment_only(remote_make):
    """With another environment's token, with none, with a forged one: on every address of the machine's socket."""
    remote = remote_make(LEVELS[0] if os.geteuid() == 0 else LEVELS[2])
    own, other = bench_on(remote), bench_on(remote)
    other.service()
    for path in ("/v1/services/app", "/v1/volumes/home"):
        assert own.ask("GET", path)[0] == 404
        assert own.ask("DELETE", path)[0] in (204, 404)
        assert other.ask("GET", path)[0] == 200, "still there"
    body = own.service_body(volume=f"{other.workspace}/home")
    assert own.ask("PUT", "/v1/services/app", body)[0] == 422, "a volume of somebody else"
    forged = f"{other.workspace}.{own.ask.token.partition('.')[2]}"
    for token in (None, forged, f"{own.ask.token}0", other.workspace, "Bearer"):
        client = own.client(own.workspace)
        client.token = token
        for method, path in (("GET", "/v1/services/app"), ("DELETE", "/v1/volumes/home"), ("GET", "/v1/health")):
            assert client(method, path)[0] == 401, (token, path)


def test_no_secret_stands_in_a_process_list(remote_make):
    remote = remote_make(LEVELS[0] if os.geteuid() == 0 else LEVELS[2])
    bench = bench_on(remote)
    bench.volume()
    body = bench.service_body(secret_environment={"KEY": remote.canary})
    status, answer = bench.ask("PUT", "/v1/services/app", {**body, "command": [*body["command"], "--token={secret}"]})
    assert (status, "secret_environment" in answer["detail"]) == (422, True)
    service = bench.service(secret_environment={"KEY": remote.canary})
    secrets = [
        service["secret"],
        remote.canary,
        bench.ask.token,
        (remote.root / "agent" / "secret").read_text().strip(),
    ]
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in lines for secret in secrets if secret.encode() in line]
