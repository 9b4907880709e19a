"""Beside JupyterHub: its simple spawner from the request for a server to the server's own answer, on the same machine.

Installed for the measurement into a folder of its own; where the registries cannot be reached it is not measured.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.click import click
from bench.figures import Figure, median
from bench.processes import environ_plain, port_free, running, wait_until

if TYPE_CHECKING:
    from bench.session import Session

PACKAGES = ("jupyterhub==5.*", "jupyterlab==4.6.*")
PROXY = "configurable-http-proxy@5"
INSTALL_S = 240
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}/"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = [{node!r}, {proxy!r}]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.Spawner.args = ["--allow-root", "--KernelSpecManager.ensure_native_kernel=True"]
c.Spawner.cmd = [{single!r}]
c.Spawner.environment = {{"PATH": {path!r}}}
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.JupyterHub.services = [{{"name": "bench", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "admin:servers"]}}]
"""


def measure(session: Session) -> list[Figure]:
    folder = session.folder_new()
    hub = installed(folder)
    token = session.token("dana")
    ours: list[float] = []
    theirs: list[float] = []
    with hub_running(folder, hub) as ask:
        for turn in range(-1, 1 if session.quick else 5):
            pair = click(session, token, f"hub-{turn + 1}"), spawn(ask, f"person{turn + 1}")
            if turn >= 0:
                ours.append(pair[0])
                theirs.append(pair[1])
                session.say(f"ours {pair[0]:.2f} s, JupyterHub {pair[1]:.2f} s")
    beside = "JupyterHub, simple spawner: no isolation, limits, plan or state"
    return [Figure("hub", "Click to ready, a notebook, median", median(ours), "s", median(theirs), beside)]


def installed(folder: Path) -> Path:
    """A virtual environment with JupyterHub, and its proxy from npm. Raises RuntimeError that says what failed."""
    uv, npm = Path(sys.executable).with_name("uv"), shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not on PATH")
    steps = (
        [str(uv), "venv", "--quiet", "--python", sys.executable, str(folder / "venv")],
        [str(uv), "pip", "install", "--quiet", "--python", str(folder / "venv"), *PACKAGES],
        [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder / "npm"), PROXY],
    )
    for command in steps:
        done = subprocess.run(command, env=environ_plain(), capture_output=True, text=True, timeout=INSTALL_S)
        if done.returncode:
            raise RuntimeError(f"{Path(command[0]).name} {command[1]}: {(done.stderr or done.stdout).strip()[-300:]}")
    return folder / "venv" / "bin"


@contextlib.contextmanager
def hub_running(folder: Path, hub: Path):  # type: ignore[no-untyped-def]
    """Yields `ask(method, path) -> (status, answer)` of the hub's API and of its people's servers."""
    port, token = port_free(), secrets.token_hex(16)
    path = f"{hub}:/usr/bin:/bin"
    proxy = folder / "npm" / "node_modules" / "configurable-http-proxy" / "bin" / "configurable-http-proxy"
    (folder / "config.py").write_text(
        CONFIG.format(
            port=port,
            hub_port=port_free(),
            proxy_port=port_free(),
            node=shutil.which("node"),
            proxy=str(proxy),
            single=str(hub / "jupyterhub-singleuser"),
            path=path,
            homes=f"{folder}/home-{{username}}",
            token=token,
        )
    )

    def ask(method: str, address: str) -> tuple[int, object]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, address, headers={"Authorization": f"token {token}"})
            answer = connection.getresponse()
            content = answer.read()
        return answer.status, json.loads(content) if content[:1] in (b"{", b"[") else None

    def answers() -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return ask("GET", "/hub/api/")[0] == 200
        return False

    environ = environ_plain() | {"PATH": path, "HOME": str(folder)}
    command = [str(hub / "jupyterhub"), "-f", str(folder / "config.py")]
    with running(command, environ=environ, log=folder / "hub.log", folder=folder):
        try:
            wait_until(answers, 60, "JupyterHub's first answer", 0.1)
        except TimeoutError as error:
            raise RuntimeError(f"{error}: {(folder / 'hub.log').read_text()[-500:]}") from None
        yield ask


def spawn(ask, username: str) -> float:  # type: ignore[no-untyped-def]
    """Seconds from asking for a person's server until the hub calls it ready, which it does after its first answer."""
    ask("POST", f"/hub/api/users/{username}")
    started = time.monotonic()
    status, _ = ask("POST", f"/hub/api/users/{username}/server")
    if status not in (201, 202):
        raise RuntimeError(f"JupyterHub answered {status}")
    wait_until(lambda: (ask("GET", f"/hub/api/users/{username}")[1] or {}).get("server"), 60, "a server's start")
    seconds = time.monotonic() - started
    ask("DELETE", f"/hub/api/users/{username}/server")
    return seconds
