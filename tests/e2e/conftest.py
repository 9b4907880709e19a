"""A whole portal for the browser journeys, started as people start it, and a browser for each of the cast."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.prepared import FOLDER, made_once, packages_lend

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 150
SEED_SECONDS = 90


@dataclass
class Portal:
    """A portal that runs: its address, its folder, the demo people's password and its process."""

    url: str
    data: Path
    password: str
    process: subprocess.Popen[bytes] | None

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://").rstrip("/")

    def get(self, path: str, token: str = "") -> tuple[int, dict[str, object]]:
        return self.call("GET", path, None, token)

    def call(self, method: str, path: str, body: object, token: str, **headers: str) -> tuple[int, dict[str, object]]:
        request = urllib.request.Request(
            self.url + path.lstrip("/"),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def token(self, username: str, scope: str = "write") -> str:
        made = subprocess.run(
            [sys.executable, "manage.py", "token", username, "--scope", scope],
            cwd=ROOT,
            env=self.environ(),
            capture_output=True,
            text=True,
            check=True,
        )
        return made.stdout.strip()

    def environ(self) -> dict[str, str]:
        """A terminal beside this portal: commands find it by its folder alone."""
        return environ_plain() | {"SLIPWAY_DATA": str(self.data)}


def environ_plain() -> dict[str, str]:
    """The machine's environment without what the tests have set for themselves."""
    own = {"DJANGO_SETTINGS_MODULE", "SECRET_KEY", "SLIPWAY_KEYS", "PYTEST_XDIST_WORKER", FOLDER}
    return {name: value for name, value in os.environ.items() if not name.endswith("_URL") and name not in own}


def port_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def portal_start(data: Path, port: int, *, experiments: bool = True, first: bool = False) -> Portal:
    """`make up` with the demo; without its `experiments` nothing is trained, which takes a core for half a minute.

    An empty folder begins as one that was started and ended before, unless this is to be its `first` start."""
    if not first and FOLDER in os.environ and not (data.exists() and any(data.iterdir())):
        folder_begin(data)
    environ = environ_plain() | {"SLIPWAY_DATA": str(data), "PORT": str(port), "SIGN_IN_ATTEMPTS": "1000"}
    environ["DEMO_EXPERIMENTS"] = str(int(experiments))
    # What a test launches is built when it does: others want the machine for themselves.
    environ.setdefault("PREBUILD", "0")
    with (data.parent / "up.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up"], cwd=ROOT, env=environ, stdout=output, stderr=output
        )
    url = f"http://localhost:{port}/"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url + "readyz", timeout=5) as response:
                if response.status == 200 and (data / "password").exists():
                    return Portal(url, data, (data / "password").read_text().strip(), process)
        except OSError:
            pass
        time.sleep(0.3)
    process.terminate()
    raise AssertionError("The portal did not become ready:\n" + (data.parent / "up.log").read_text()[-4000:])


def folder_begin(data: Path) -> None:
    """What `data` is after a first start, in which the people and modules of the demo were made."""
    made = made_once("started", _started_make)
    shutil.copytree(made / "data", data, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(data / "logs")
    packages_lend(data / "agent")


def _started_make(folder: Path) -> None:
    data = folder / "data"
    data.mkdir(mode=0o700)
    portal = portal_start(data, port_free(), experiments=False, first=True)
    try:
        deadline = time.monotonic() + SEED_SECONDS
        while not (data / "done" / "seed").exists():
            assert time.monotonic() < deadline, (data / "logs" / "seed.log").read_text()[-4000:]
            time.sleep(0.2)
    finally:
        portal_stop(portal)


def portal_stop(portal: Portal) -> None:
    assert portal.process is not None
    portal.process.send_signal(signal.SIGTERM)
    try:
        portal.process.wait(60)
    except subprocess.TimeoutExpired:
        portal.process.kill()
        raise


@pytest.fixture(scope="session")
def portal() -> Iterator[Portal]:
    """`SLIPWAY_E2E_DATA` and `SLIPWAY_E2E_URL` name a portal that runs already, for quick work on a journey."""
    if running := os.environ.get("SLIPWAY_E2E_DATA"):
        data = Path(running)
        yield Portal(os.environ["SLIPWAY_E2E_URL"], data, (data / "password").read_text().strip(), None)
        return
    folder = Path(tempfile.mkdtemp(prefix="slipway-e2e-"))
    data = folder / "data"
    data.mkdir(mode=0o700)
    started = portal_start(data, port_free())
    try:
        yield started
    finally:
        portal_stop(started)
        shutil.rmtree(folder, ignore_errors=True)


def sign_in(browser: Browser, portal: Portal, username: str, **options: object) -> Page:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(portal.url)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(portal.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(portal.url)
    return page
