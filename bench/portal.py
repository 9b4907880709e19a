"""A whole portal for measuring: started as people start it, driven through its API, watched through its database."""

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from bench.processes import ROOT, environ_plain, running, wait_until

READY_S = 180
ENDED = {"running", "failed", "stopped", "destroyed"}


@dataclass
class Portal:
    """A running portal: its folder, its port, its process."""

    data: Path
    port: int
    process: subprocess.Popen[bytes]
    started_at: float

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    def environ(self) -> dict[str, str]:
        return environ_plain() | {"SLIPWAY_DATA": str(self.data)}

    def manage(self, *arguments: str, source: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=self.environ(), input=source, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"manage.py {arguments[0]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout.strip()

    def token(self, username: str) -> str:
        return self.manage("token", username, "--scope", "write")

    @property
    def password(self) -> str:
        return (self.data / "password").read_text().strip()

    @property
    def database_url(self) -> str:
        return str(json.loads((self.data / "run" / "environment.json").read_text())["DATABASE_URL"])

    def call(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            headers = {"Host": self.host, "Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content) if content else None

    def launch(self, token: str, name: str, **inputs: Any) -> str:
        """The id of a new notebook of dana's team."""
        wish = {"name": name, "team": "vision", "module": "local-notebook", "inputs": inputs}
        status, answer = self.call("POST", "/api/v1/environments/", token, wish)
        if status != 201:
            raise RuntimeError(f"the launch was answered with {status}: {answer}")
        return str(answer["id"])

    def destroy(self, token: str, environment_id: str, name: str) -> None:
        status, answer = self.call("POST", f"/api/v1/environments/{environment_id}/destroy/", token, {"confirm": name})
        if status != 200:
            raise RuntimeError(f"the destruction was answered with {status}: {answer}")

    def wait(self, environment_ids: list[str], wanted: str, seconds: float = 180) -> dict[str, float]:
        """`time.monotonic()` at which each environment was seen to be `wanted`; told by the database, not by polling.

        Raises RuntimeError where one failed instead.
        """
        seen: dict[str, float] = {}
        deadline = time.monotonic() + seconds
        query = "SELECT id::text, status, status_reason FROM environments_environment WHERE id = ANY(%s::uuid[])"
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("LISTEN slipway_live")
            while len(seen) < len(environment_ids):
                now = time.monotonic()
                for key, status, reason in connection.execute(query, (environment_ids,)).fetchall():
                    if status == wanted:
                        seen.setdefault(key, now)
                    elif status == "failed":
                        raise RuntimeError(f"environment {key} failed: {reason}")
                if len(seen) < len(environment_ids):
                    if now > deadline:
                        raise TimeoutError(f"{len(environment_ids) - len(seen)} environments did not become {wanted}")
                    list(connection.notifies(timeout=0.5, stop_after=1))
        return seen

    def session(self, username: str) -> str:
        """The Cookie header of a signed-in browser."""
        cookies: SimpleCookie = SimpleCookie()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request("GET", "/accounts/sign-in/", headers={"Host": self.host})
            answer = connection.getresponse()
            answer.read()
            for value in answer.headers.get_all("Set-Cookie") or []:
                cookies.load(value)
            csrf = next(morsel.value for name, morsel in cookies.items() if "csrf" in name)
            form = urlencode({"username": username, "password": self.password, "csrfmiddlewaretoken": csrf})
            headers = {"Host": self.host, "Cookie": _cookie(cookies), "Origin": f"http://{self.host}"}
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            connection.request("POST", "/accounts/sign-in/", form, headers)
            answer = connection.getresponse()
            answer.read()
            for value in answer.headers.get_all("Set-Cookie") or []:
                cookies.load(value)
            if answer.status != 302:
                raise RuntimeError(f"{username} could not sign in: {answer.status}")
        return _cookie(cookies)


def _cookie(cookies: SimpleCookie) -> str:
    return "; ".join(f"{name}={morsel.value}" for name, morsel in cookies.items())


def page_answers(port: int) -> bool:
    """Whether the sign-in page is served: what a person waits for."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        with contextlib.closing(connection):
            connection.request("GET", "/accounts/sign-in/", headers={"Host": f"localhost:{port}"})
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def portal_ready(port: int) -> bool:
    """Whether everything answers: database, broker, MLflow, worker, agent."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        with contextlib.closing(connection):
            connection.request("GET", "/readyz", headers={"Host": f"localhost:{port}"})
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


@contextlib.contextmanager
def portal_running(data: Path, port: int, log: Path) -> Iterator[Portal]:
    """A portal whose page answers; what it does not need for that may still be starting."""
    data.mkdir(mode=0o700, exist_ok=True)
    environ = environ_plain() | {"SLIPWAY_DATA": str(data), "PORT": str(port), "SIGN_IN_ATTEMPTS": "1000"}
    started = time.monotonic()
    with running([sys.executable, "manage.py", "up"], environ=environ, log=log) as process:

        def answers() -> bool:
            if process.poll() is not None:
                raise RuntimeError("the portal ended:\n" + log.read_text(errors="replace")[-3000:])
            return page_answers(port)

        wait_until(answers, READY_S, "the portal's page")
        yield Portal(data, port, process, started)
