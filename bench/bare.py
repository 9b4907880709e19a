"""The same module with the bare tools: `terraform init, plan -out, show -json, apply`, by hand, one after another."""

import contextlib
import http.client
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from apps.provisioning.engine import Engine, engine_select
from apps.provisioning.machine.tokens import secret_load, token_make
from apps.provisioning.terraform_environment import mirrors_found, rc_text
from bench.processes import ROOT, environ_plain, port_free, running, wait_until

MODULE = ROOT / "terraform" / "modules" / "local-notebook"


@dataclass(frozen=True)
class BareMachine:
    """Where bare Terraform finds its provider, the machine's socket and its own engine."""

    root: Path
    engine: Engine
    rc: Path

    def workspace(self) -> "BareWorkspace":
        """A copy of the module with the values that the portal would give it."""
        key = str(uuid.uuid4())
        work = self.root / "by-hand" / key
        shutil.copytree(MODULE, work, ignore=shutil.ignore_patterns("__pycache__"))
        (work / "terraform.tfvars.json").write_text(json.dumps(values(key)))
        return BareWorkspace(self, key, work)


@dataclass(frozen=True)
class BareWorkspace:
    machine: BareMachine
    key: str
    work: Path

    def environ(self) -> dict[str, str]:
        token = token_make(secret_load(self.machine.root / "secret"), self.key)
        return {
            "PATH": os.environ["PATH"], "HOME": str(self.machine.root / "by-hand"), "LANG": "C.UTF-8",
            "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(self.machine.rc),
            "SLIPWAY_AGENT_SOCKET": str(self.machine.root / "s"), "SLIPWAY_AGENT_TOKEN": token,
        }  # fmt: skip

    def terraform(self, *arguments: str, stdout: str = "out.log") -> float:
        """Seconds that one command took."""
        started = time.monotonic()
        with (self.work / stdout).open("wb") as out:
            done = subprocess.run(
                [*self.machine.engine.argv, *arguments], cwd=self.work, env=self.environ(), stdin=subprocess.DEVNULL,
                stdout=out, stderr=subprocess.PIPE,
            )  # fmt: skip
        if done.returncode:
            told = (self.work / stdout).read_text(errors="replace")[-2000:]
            raise RuntimeError(f"bare terraform {arguments[0]} failed:\n{done.stderr.decode()[-2000:]}\n{told}")
        return time.monotonic() - started

    def launch(self) -> dict[str, float]:
        """Seconds of each of the four commands; the apply ends when JupyterLab has answered."""
        return {
            "init": self.terraform("init", "-input=false", "-no-color"),
            "plan": self.terraform("plan", "-input=false", "-no-color", "-json", "-out=plan.bin"),
            "show": self.terraform("show", "-no-color", "-json", "plan.bin", stdout="plan.json"),
            "apply": self.terraform("apply", "-input=false", "-no-color", "-json", "plan.bin"),
        }

    def shell_words(self) -> str:
        """The four commands as one line for a shell."""
        engine = " ".join(self.machine.engine.argv)
        return (
            f"{engine} init -input=false -no-color >init.log && {engine} plan -input=false -no-color -json "
            f"-out=plan.bin >plan.log && {engine} show -no-color -json plan.bin >plan.json && {engine} apply "
            "-input=false -no-color -json plan.bin >apply.log"
        )

    def destroy(self) -> None:
        self.terraform("destroy", "-input=false", "-no-color", "-auto-approve")


def values(key: str) -> dict[str, object]:
    return {
        "cpu": 1, "memory_gb": 2,
        "slipway": {
            "environment_id": key, "name": "by-hand", "slug": "by-hand", "team": "vision", "owner": "dana",
            "running": True, "app_url": "http://by-hand.apps.localhost/",
            "mlflow_tracking_uri": "http://localhost/mlflow", "mlflow_experiment": "vision/default",
        },
        "slipway_secrets": {"mlflow_tracking_token": "none"},
    }  # fmt: skip


@contextlib.contextmanager
def bare_machine(folder: Path, runtimes_from: Path | None = None) -> Iterator[BareMachine]:
    """A machine of its own below `folder`. What `runtimes_from` (another agent's root) has is not built again.

    Runtimes are shared by a link: both machines then read the very same files, as warm or cold as each other's.
    """
    root = folder / "bare"
    root.mkdir(mode=0o700)
    if runtimes_from is not None:
        (root / "runtimes").symlink_to(runtimes_from / "runtimes")
    plugins = root / "plugins"
    _installer().install_mirror(plugins)
    rc = root / "terraform.rc"
    rc.write_text(rc_text(mirrors_found(os.environ, plugins)))
    command = [sys.executable, "-m", "bench.bare_machine", str(root)]
    with running(command, environ=environ_plain(), log=folder / "bare.log") as process:

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError("the bare machine ended:\n" + (folder / "bare.log").read_text()[-2000:])
            return (root / "ready").exists()

        wait_until(ready, 60, "the bare machine")
        yield BareMachine(root, engine_select(os.environ), rc)


def jupyterlab_start(folder: Path, runtime: Path) -> float:
    """Seconds from starting a plain JupyterLab of the same packages to its first answer."""
    port = port_free()
    home = folder / f"home-{port}"
    home.mkdir()
    environ = {"PATH": f"{runtime}/bin:/usr/bin:/bin", "HOME": str(home), "JUPYTER_TOKEN": "secret", "LANG": "C.UTF-8"}
    command = [f"{runtime}/bin/python", "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"]
    command += ["--ServerApp.open_browser=False", f"--ServerApp.root_dir={home}", "--ServerApp.allow_root=True"]
    command += ["--LabApp.extension_manager=readonly"]
    command += [
        "--ServerApp.jpserver_extensions=jupyter_lsp=False",
        "--ServerApp.jpserver_extensions=notebook_shim=False",
    ]

    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/api/status", headers={"Authorization": "token secret"})
            return connection.getresponse().status == 200
        return False

    with running(command, environ=environ, log=folder / "jupyterlab.log", folder=home):
        return wait_until(answers, 60, "JupyterLab's first answer")


def runtime_newest(agent_root: Path) -> Path:
    """The Python environment that a notebook of this agent runs in."""
    built = [path.parent for path in (agent_root / "runtimes").glob("*/slipway.json")]
    return max(built, key=lambda path: path.stat().st_mtime)


def _installer() -> ModuleType:
    path = ROOT / "terraform" / "providers" / "local" / "install.py"
    spec = importlib.util.spec_from_file_location("slipway_provider_install", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
