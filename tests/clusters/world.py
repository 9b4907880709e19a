"""Cluster modules applied by the real Terraform through a real machine agent, and notebooks' Python beside them."""

import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.provisioning.engine import engine_select
from apps.provisioning.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "terraform" / "modules"


@dataclass
class Applied:
    """A module's own directory, applied under a workspace of the machine."""

    module: str
    machine: Machine
    folder: Path
    environment: dict[str, str]
    workspace: str = field(default_factory=lambda: str(uuid.uuid4()))
    inputs: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shutil.copytree(MODULES / self.module, self.folder, ignore=shutil.ignore_patterns("__pycache__", ".terraform*"))
        token = self.machine.environment_token(self.workspace)
        self.environment = {
            **self.environment,
            "SLIPWAY_AGENT_SOCKET": str(self.machine.socket_path),
            "SLIPWAY_AGENT_TOKEN": token,
        }
        self.run("init", "-input=false", "-no-color")

    def run(self, *arguments: str, code: int = 0) -> str:
        argv = engine_select({"PATH": os.environ["PATH"]}).argv
        done = subprocess.run(
            [*argv, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=400,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def apply(self, *, running: bool = True, code: int = 0, **inputs: Any) -> str:
        self.inputs |= inputs
        slipway = {
            "environment_id": self.workspace,
            "name": "crunch",
            "slug": "crunch-abc",
            "team": "vision",
            "owner": "dana",
            "running": running,
            "app_url": "http://crunch-abc.apps.localhost/",
            "mlflow_tracking_uri": "http://localhost/mlflow",
            "mlflow_experiment": "vision/default",
        }
        values = json.dumps({**self.inputs, "slipway": slipway})
        (self.folder / "terraform.tfvars.json").write_text(values)
        return self.run("apply", "-auto-approve", "-input=false", "-no-color", code=code)

    def plan(self) -> str:
        return self.run("plan", "-input=false", "-no-color")

    @property
    def outputs(self) -> dict[str, Any]:
        return {name: item["value"] for name, item in json.loads(self.run("output", "-json")).items()}

    def destroy(self) -> None:
        self.run("destroy", "-auto-approve", "-input=false", "-no-color")

    def log(self, service: str) -> str:
        return self.machine.layout.log(self.workspace, service).read_text(errors="replace")

    def python(self) -> Path:
        """The Python of the packages that the module has built."""
        return self.machine.layout.runtimes / self.outputs["runtime_digest"] / "bin" / "python"


@dataclass
class Running:
    """A cluster that answers: its door, and what opens it."""

    address: str
    secret: str
    python: Path

    def ask(self, path: str, authorization: str = "", method: str = "GET") -> tuple[int, bytes]:
        request = urllib.request.Request(f"http://{self.address}{path}", method=method)
        if authorization:
            request.add_header("Authorization", authorization)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    @property
    def bearer(self) -> str:
        return "Bearer " + hmac.new(self.secret.encode(), b"slipway connection", hashlib.sha256).hexdigest()

    def connection(self, who: str = "dana") -> dict[str, Any]:
        status, body = self.ask(f"/slipway/connection?for={who}", self.bearer, "POST")
        assert status == 200, body
        return dict(json.loads(body))

    def health(self) -> dict[str, Any]:
        return dict(json.loads(self.ask("/slipway/health", f"token {self.secret}")[1]))

    def compute(self, code: str, what: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        """Run `code` as a notebook would, in a process of its own: `client` is connected, `told` is the answer."""
        done = subprocess.run(
            [str(self.python), "-c", PREAMBLE + code + "\nprint('TOLD', json.dumps(told))\n"],
            input=json.dumps(what or self.connection()),
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        line = next(line for line in done.stdout.splitlines() if line.startswith("TOLD "))
        return dict(json.loads(line.removeprefix("TOLD ")))


PREAMBLE = """
import json, os, sys, time
what = json.load(sys.stdin)
from distributed import Client, Security
tls = what["tls"]
security = Security(require_encryption=True, tls_ca_file=tls["ca"], tls_client_cert=tls["certificate"],
                    tls_client_key=tls["key"])
client = Client(what["address"], security=security, timeout=20)
"""


def until(reached: Callable[[], Any], seconds: float = 30, what: Callable[[], Any] = lambda: "") -> Any:
    deadline = time.monotonic() + seconds
    while not (found := reached()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what()}"
        time.sleep(0.1)
    return found
