"""The local provider under a plain `terraform`, against the real machine agent and against a stand-in for it."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from apps.provisioning.engine import engine_select
from apps.provisioning.machine import Machine
from tests.terraform.fake_agent import FakeAgent

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = ROOT / "terraform" / "providers" / "local"
README = (PROVIDER / "README.md").read_text()


class Agent(Protocol):
    """What a test needs of an agent: where it is, and a hand to change things behind Terraform's back."""

    socket_path: Path
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]: ...

    def end_process(self, service: str) -> None: ...


class _Asked:
    socket_path: Path
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("localhost", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(str(self.socket_path))
        try:
            headers = {"Authorization": f"Bearer {self.token}"}
            connection.request(method, path, body=json.dumps(body) if body is not None else None, headers=headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None
        finally:
            connection.close()


class StandIn(_Asked):
    def __init__(self, fake: FakeAgent) -> None:
        self.fake, self.socket_path, self.token = fake, fake.socket_path, fake.token

    def end_process(self, service: str) -> None:
        self.fake.crash_service(service)


class RealAgent(_Asked):
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.socket_path = machine.socket_path
        self.workspace = str(uuid.uuid4())
        self.token = machine.environment_token(self.workspace)

    def end_process(self, service: str) -> None:
        """Stop it as somebody else would; a crash would be put right by the supervisor within a second."""
        status, _ = self.ask("PUT", f"/v1/services/{service}", service_body(self.workspace, running=False))
        assert status == 200


def service_body(workspace: str, **changes: Any) -> dict[str, Any]:
    return {"command": SERVER, "volume": f"{workspace}/home", "health_path": "/", **changes}


SERVER = [os.path.realpath(sys._base_executable), "-m", "http.server", "{port}", "--bind", "127.0.0.1"]


@pytest.fixture(params=["machine", "stand-in"])
def agent(request: pytest.FixtureRequest) -> Iterator[Agent]:
    directory = Path(tempfile.mkdtemp(prefix="slt-"))
    if request.param == "stand-in":
        fake = FakeAgent(directory / "agent.sock")
        yield StandIn(fake)
        fake.close()
    else:
        machine = Machine(directory / "agent", socket_path=directory / "run" / "agent.sock")
        machine.start()
        yield RealAgent(machine)
        machine.close()
        machine.stop_services("The test is over")
    shutil.rmtree(directory, ignore_errors=True)


@dataclass
class PlainTerraform:
    """`terraform` as a person uses it who followed the provider's README."""

    directory: Path
    environment: dict[str, str]
    argv: tuple[str, ...]

    def __call__(self, *arguments: str, code: int = 0) -> str:
        answer = subprocess.run(
            [*self.argv, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert answer.returncode == code, answer.stdout + answer.stderr
        return answer.stdout + answer.stderr

    def module(self, text: str) -> None:
        (self.directory / "main.tf").write_text(readme_block("required_providers").split("resource", 1)[0] + text)

    def apply(self, *arguments: str, code: int = 0) -> str:
        return self("apply", "-auto-approve", "-input=false", "-no-color", *arguments, code=code)

    def plan(self) -> str:
        return self("plan", "-input=false", "-no-color")

    def output(self, name: str) -> Any:
        return json.loads(self("output", "-json"))[name]["value"]

    def state(self, address: str) -> dict[str, Any]:
        kind, name = address.split(".")
        state = json.loads((self.directory / "terraform.tfstate").read_text())
        found = next(item for item in state["resources"] if (item["type"], item["name"]) == (kind, name))
        return found["instances"][0]


def readme_block(word: str) -> str:
    """The code block of the README that holds `word`."""
    blocks = re.findall(r"```\w+\n(.*?)```", README, re.DOTALL)
    return next(re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in blocks if word in block)


@pytest.fixture
def plain(agent: Agent, tmp_path: Path) -> PlainTerraform:
    """Everything as the README says, its placeholders filled in."""
    mirror, home, work = tmp_path / "mirror", tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    filled = {"<slipway>/.venv/bin/python": sys.executable, "<slipway>": str(ROOT), "<mirror>": str(mirror)}
    install = readme_block("install.py")
    for placeholder, value in filled.items():
        install = install.replace(placeholder, value)
    subprocess.run(install, shell=True, check=True, capture_output=True)
    (home / ".terraformrc").write_text(readme_block("filesystem_mirror").replace("<mirror>", str(mirror)))
    values = {"<socket>": str(agent.socket_path), "<token>": agent.token}
    exports = re.findall(r'export (\w+)="(<\w+>)"', readme_block("export"))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CHECKPOINT_DISABLE": "1"}
    environment |= {name: values[placeholder] for name, placeholder in exports}
    return PlainTerraform(work, environment, engine_select({"PATH": os.environ["PATH"]}).argv)
