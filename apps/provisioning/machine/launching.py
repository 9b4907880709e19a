"""launch.json: all the shim needs to run a service, with every substitution made."""

import re
from pathlib import Path
from typing import Any

from .gpus import Gpus
from .limits import PROCESSES_MAX, Limits
from .records import ServiceRecord
from .runtimes import Runtimes
from .sandboxes import Sandboxes
from .shim import MARKER
from .supervisor import STOP_SECONDS

_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PLACEHOLDER = re.compile(r"\{(port|secret|volume|runtime|context)\}")


def launch_describe(
    record: ServiceRecord, sandboxes: Sandboxes, limits: Limits, runtimes: Runtimes, gpus: Gpus, *, home: Path,
    private: Path,
) -> dict[str, Any]:  # fmt: skip
    """`private` is the service's directory. Nothing of the agent's own environment gets into the result."""
    spec, isolation = record.spec, sandboxes.isolation
    runtime = runtimes.path(spec.runtime) if spec.runtime else None
    context = sandboxes.context_copy(record.workspace_id, private)
    sandbox = sandboxes.make(
        record.workspace_id,
        home=home,
        private=private,
        read=runtimes.read_paths(spec.runtime) if spec.runtime else (),
        context=context,
        port=record.port,
        memory_bytes=spec.memory_mb * 1024 * 1024 if spec.memory_mb else None,
        devices=gpus.devices(record.gpus),
    )
    seen = {
        "port": str(record.port),
        "secret": record.secret,
        "volume": isolation.home_seen(home),
        "runtime": str(runtime or ""),
        "context": isolation.context_seen(context),
    }
    environment = {
        "PATH": f"{runtime}/bin:{_SYSTEM_PATH}" if runtime else _SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "USER": "slipway",
        "SHELL": "/bin/bash",
        "PYTHONUNBUFFERED": "1",
        **({"VIRTUAL_ENV": str(runtime)} if runtime else {}),
        **{name: _substituted(value, seen) for name, value in spec.environment.items()},
        **{name: _substituted(value, seen) for name, value in spec.secret_environment.items()},
        **gpus.environment(record.gpus),
        "HOME": seen["volume"],
        "TMPDIR": isolation.scratch_seen(sandbox.scratch),
        "SLIPWAY_PORT": seen["port"],
        "SLIPWAY_SECRET": seen["secret"],
        "SLIPWAY_CONTEXT_FILE": seen["context"],
        MARKER: f"{record.workspace_id}/{record.name}",
    }
    command = [_substituted(part, seen) for part in spec.command]
    return {
        "generation": record.generation,
        "argv": isolation.command(sandbox, command, processes=limits.processes(own_uid=isolation.has_own_uid)),
        "environment": environment,
        "namespaces": isolation.has_namespaces,
        "scratch": str(sandbox.scratch),
        "uid": sandbox.uid,
        "group": limits.group(record.workspace_id, record.name),
        "memory_bytes": spec.memory_mb * 1024 * 1024 if spec.memory_mb else None,
        "cpu": spec.cpu,
        "pids": PROCESSES_MAX,
        "stop_seconds": STOP_SECONDS,
        "marker": environment[MARKER],
    }


def _substituted(text: str, seen: dict[str, str]) -> str:
    """One pass, so that a value that happens to hold a placeholder stays as it is."""
    return _PLACEHOLDER.sub(lambda match: seen[match[1]], text)
