"""The real JupyterLab of the notebook module behind the access proxy: pages, files, a kernel, a terminal."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from apps.environments.access.contracts import Upstream
from tests.core.serving import free_port
from tests.environments.access.conftest import DANA, MALLORY

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.timeout(240)]
RUNTIME = Path(__file__).parents[3] / "terraform" / "modules" / "local-notebook" / "runtime"


def uv(*arguments: str) -> None:
    assert find_spec("uv"), "uv is one of the portal's own dependencies"
    done = subprocess.run([sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="session")
def runtime(tmp_path_factory) -> Path:
    """A Python with the notebook module's locked packages; SLIPWAY_TEST_JUPYTERLAB names one that is there already."""
    if given := os.environ.get("SLIPWAY_TEST_JUPYTERLAB"):
        return Path(given)
    folder = tmp_path_factory.mktemp("runtime") / "venv"
    uv("venv", "--quiet", "--python", sys.executable, str(folder))
    locked = ["--require-hashes", "-r", str(RUNTIME / "requirements.lock"), "--no-deps"]
    uv("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *locked)
    return folder / "bin" / "python"


@pytest_asyncio.fixture
async def jupyterlab(runtime, portal, tmp_path):
    """One server with a token, as the module starts it, known to the portal as the environment nb-lab."""
    port, secret = free_port(), secrets.token_urlsafe(32)
    options = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.open_browser": False,
        "ServerApp.root_dir": tmp_path,
        "ServerApp.allow_remote_access": True,
        "ServerApp.trust_xheaders": True,
        "IdentityProvider.token": secret,
    }
    root = ["--allow-root"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        str(runtime),
        "-m",
        "jupyterlab",
        *root,
        *(f"--{name}={value}" for name, value in options.items()),
        cwd=tmp_path,
        env={"PATH": f"{runtime.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with aiohttp.ClientSession() as client, asyncio.timeout(60):
            while True:
                assert process.returncode is None
                try:
                    async with client.get(f"http://127.0.0.1:{port}/api") as response:
                        if response.status == 200:
                            break
                except aiohttp.ClientConnectionError:
                    await asyncio.sleep(0.1)
        portal.environments["nb-lab"] = Upstream("id-lab", "nb-lab", "running", f"127.0.0.1:{port}", secret)
        portal.allowed["nb-lab"] = {DANA}
        yield portal.environments["nb-lab"]
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


def message(kind, content):
    head = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "username": "", "session": "s", "version": "5.3", "date": ""}
    return {"header": head, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell", "buffers": []}


async def cell_run(sock, code):
    """The text result of one cell."""
    asked = message("execute_request", {"code": code, "silent": False, "store_history": True, "allow_stdin": False})
    await sock.send_str(json.dumps(asked))
    async with asyncio.timeout(60):
        while True:
            said = await sock.receive_json()
            if said["parent_header"].get("msg_id") != asked["header"]["msg_id"]:
                continue
            if said["msg_type"] == "execute_result":
                return said["content"]["data"]["text/plain"]
            assert said["msg_type"] != "error", said["content"]


async def test_a_notebook_is_used_through_the_proxy(browsers, jupyterlab):
    dana = browsers(DANA)
    own = {"Origin": f"http://{dana.host('nb-lab')}"}
    page = await dana.open("nb-lab", "/lab?reset")
    assert page.status == 200
    assert "jupyter-config-data" in await page.text()
    assert "_xsrf" in dana.cookies["nb-lab"]

    content = {"type": "file", "format": "text", "content": "x" * 1_000_000}
    saved = await dana.ask("nb-lab", "/api/contents/large.txt", method="PUT", json=content, headers=own)
    assert saved.status == 201
    fetched = await dana.ask("nb-lab", "/files/large.txt")
    assert len(await fetched.text()) == 1_000_000

    kernel = await (await dana.ask("nb-lab", "/api/kernels", method="POST", json={}, headers=own)).json()
    async with dana.websocket("nb-lab", f"/api/kernels/{kernel['id']}/channels?session_id=s") as sock:
        assert await cell_run(sock, "6 * 7") == "42"
        assert await cell_run(sock, "len('y' * 5_000_000)") == "5000000"
    async with dana.websocket("nb-lab", "/api/events/subscribe") as events:
        assert not events.closed

    terminal = await (await dana.ask("nb-lab", "/api/terminals", method="POST", json={}, headers=own)).json()
    async with dana.websocket("nb-lab", f"/terminals/websocket/{terminal['name']}") as sock, asyncio.timeout(20):
        await sock.send_json(["stdin", "echo $((40+2))-answer\r"])
        text = ""
        while "42-answer" not in text:
            said = await sock.receive_json()
            text += said[1] if said[0] == "stdout" else ""

    mallory = browsers(MALLORY)
    assert (await mallory.open("nb-lab", "/lab")).status == 404
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await mallory.websocket("nb-lab", f"/api/kernels/{kernel['id']}/channels")
    assert (await dana.ask("nb-lab", f"/api/kernels/{kernel['id']}", method="DELETE", headers=own)).status == 204
