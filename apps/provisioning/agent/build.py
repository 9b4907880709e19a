"""Puts an agent together from the settings and from what this machine has."""

import hashlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

from django.conf import settings

from apps.provisioning.agent.daemon import Agent, machine_name
from apps.provisioning.engine import engine_select
from apps.provisioning.machine import Machine
from apps.provisioning.terraform_sandbox import SandboxSpec

PROVIDER = settings.BASE_DIR / "terraform" / "providers" / "local" / "install.py"


def agent_build(*, root: Path) -> Agent:
    """Raises `EngineError` where no Terraform can be used."""
    engine = engine_select(os.environ)
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    plugins = root / "plugins"
    _provider_installer().install_mirror(plugins)
    socket_path = agent_socket(root)
    machine = Machine(root, socket_path=socket_path)
    machine.supervisor.log_megabytes = settings.KEEP_SERVICE_LOG_MEGABYTES
    sandbox = SandboxSpec(plugins=plugins, agent_socket=socket_path, hidden=(settings.DATA_DIR,))
    return Agent(name=machine_name(), machine=machine, engine=engine, sandbox=sandbox)


def agent_socket(root: Path) -> Path:
    """The agent's socket. The kernel takes 107 bytes of path; below a deeper folder it moves to a short private one."""
    path = root / "run" / "agent.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - a 0700 folder of its own below it
    return base / f"slipway-agent-{os.getuid()}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}" / "agent.sock"


def _provider_installer() -> ModuleType:
    """`terraform/` is no Python package: a provider is a program that Terraform starts."""
    spec = importlib.util.spec_from_file_location("slipway_provider_install", PROVIDER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
