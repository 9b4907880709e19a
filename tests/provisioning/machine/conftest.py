"""Real machines below a short temporary directory, and a client of their socket."""

import http.client
import json
import os
import shutil
import socket
import sys
import tempfile
import textwrap
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.provisioning.machine import Machine

SERVER = textwrap.dedent(
    """
    import http.server, json, os, subprocess, sys, time

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.headers.get("Authorization") != "token " + os.environ["SLIPWAY_SECRET"]:
                return self.send_error(403)
            if self.path == "/eat":
                keep = bytearray(400 << 20); keep[::4096] = b"x" * len(keep[::4096]); time.sleep(5)
            if self.path == "/child":
                eat = "import time; keep = bytearray(400 << 20); keep[::4096] = b'x' * 102400; time.sleep(30)"
                subprocess.run([sys.executable, "-c", eat])
            if self.path == "/spawn":
                subprocess.Popen(["/bin/sleep", "1000"], start_new_session=True)
            value = {"pid": os.getpid(), "environ": dict(os.environ), "uid": os.getuid()}
            raw = json.dumps(value).encode()
            self.send_response(200); self.send_header("Content-Length", str(len(raw))); self.end_headers()
            self.wfile.write(raw)
        def log_message(self, *args):
            print("asked for", self.path, flush=True)

    print("serving", flush=True)
    http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["SLIPWAY_PORT"])), Handler).serve_forever()
    """
)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass
class Client:
    """What the provider is: one environment's requests to the socket."""

    path: Path
    token: str | None

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection = _Connection(self.path)
        try:
            connection.request(method, path, body=raw, headers=headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else None
        finally:
            connection.close()


class Bench:
    """A machine with an environment `workspace`, and short ways to ask it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.workspace = str(uuid.uuid4())
        self.ask = self.client(self.workspace)

    def client(self, workspace: str) -> Client:
        return Client(self.machine.socket_path, self.machine.environment_token(workspace))

    def volume(self, **body: Any) -> dict[str, Any]:
        status, volume = self.ask("PUT", "/v1/volumes/home", {"files": {"server.py": SERVER}, **body})
        assert status in (200, 201), volume
        return volume

    def service_body(self, **changes: Any) -> dict[str, Any]:
        return {
            "command": [os.path.realpath(sys._base_executable), "server.py"],
            "volume": f"{self.workspace}/home",
            "health_path": "/",
            "health_timeout_s": 30,
            "running": True,
            **changes,
        }

    def service(self, **changes: Any) -> dict[str, Any]:
        self.volume()
        status, service = self.ask("PUT", "/v1/services/app", self.service_body(**changes))
        assert status in (200, 201), service
        return service

    def get(self, service: dict[str, Any], path: str = "/") -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", service["port"], timeout=30)
        try:
            connection.request("GET", path, headers={"Authorization": f"token {service['secret']}"})
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def observed(self) -> Any:
        return next(entry for entry in self.machine.observe() if entry.workspace_id == self.workspace)

    def wait(self, condition: Callable[[Any], bool], seconds: float = 20) -> Any:
        deadline = time.monotonic() + seconds
        while not condition(entry := self.observed()):
            assert time.monotonic() < deadline, entry
            time.sleep(0.1)
        return entry

    def run(self, code: str, **changes: Any) -> str:
        """Run `code` in a service that then goes on serving; returns what it printed."""
        status, volume = self.ask("PUT", "/v1/volumes/home", {"files": {"server.py": SERVER}})
        assert status in (200, 201), volume
        body = self.service_body(**changes)
        body["command"] = [body["command"][0], "-c", code + "\nexec(open('server.py').read())"]
        status, service = self.ask("PUT", "/v1/services/app", body)
        assert status in (200, 201), service
        return self.machine.log_tail(self.workspace, "app")[0].partition("serving")[0]


@pytest.fixture
def root() -> Iterator[Path]:
    """Short, because a unix socket lies in it."""
    path = Path(tempfile.mkdtemp(prefix="slm-"))
    yield path / "agent"
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def bench_make(root: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Machine] = []

    def make(**options: Any) -> Bench:
        machine = Machine(root, socket_path=root.parent / "run" / "agent.sock", allow_file_repositories=True, **options)
        machine.start()
        made.append(machine)
        return Bench(machine)

    yield make
    for machine in made:
        machine.close()
    if made:
        made[-1].stop_services("The test is over")


@pytest.fixture
def bench(bench_make: Callable[..., Bench]) -> Bench:
    return bench_make()


@pytest.fixture
def bench_of() -> type[Bench]:
    """For tests whose machine runs in another process."""
    return Bench
