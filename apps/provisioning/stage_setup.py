"""What a stage's runner is told: the commands inside their sandbox, and the environment they get."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from apps.provisioning.engine import (
    PLAN_IN_WORK,
    Engine,
    PlanOptions,
    apply_command,
    init_command,
    plan_command,
    show_command,
)
from apps.provisioning.initialisation import init_key, init_needed, lock_prepare
from apps.provisioning.terraform_environment import (
    certificate_paths,
    environment_build,
    mirrors_found,
    rc_text,
    scratch_make,
)
from apps.provisioning.terraform_sandbox import (
    SANDBOX_TMP,
    SandboxSpec,
    interpreter_paths,
    provider_paths,
    sandbox_prefix,
)
from apps.variable_sets.given import Given

Phase = Literal["plan", "apply", "refresh"]
Command = dict[str, Any]

GB = 1024**3
# The folder of files from variable sets, in the stage's own.
GIVEN = "given"
# The agent may be killed in the middle of an apply; the provider waits for the next one, which adopts what runs.
AGENT_PATIENCE_S = 60


@dataclass(frozen=True)
class StageLimits:
    """What a stage may take: seconds in all, memory and processes at once, bytes of output, of the plan as JSON and of
    its work folder. `groups` are the control groups that hold memory and processes, where there are any."""

    seconds: float = 4 * 3600
    memory_bytes: int = 4 * GB
    processes: int = 1024
    output_bytes: int = 8 * 1024 * 1024
    plan_bytes: int = 32 * 1024 * 1024
    disk_bytes: int = 5 * GB
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class StageSetup:
    """One stage before it starts. `plan` is the saved plan of an apply."""

    engine: Engine
    work: Path
    stage_dir: Path
    phase: Phase
    sandbox: SandboxSpec
    options: PlanOptions
    plan: Path | None
    given: Given
    limits: "StageLimits"

    def write(self, environ: Mapping[str, str], *, agent_token: str, names: Sequence[str]) -> None:
        """Put everything the runner reads into the stage's directory; `stage.json` comes last and makes it a stage."""
        mode = self.sandbox.resolved()
        mirrors = mirrors_found(environ, self.sandbox.plugins.resolve())
        rc = self.stage_dir / "terraform.rc"
        configuration = rc_text(mirrors)
        private_write(rc, configuration)
        scratch = None if mode == "bubblewrap" else scratch_make()
        temporary = scratch or Path(SANDBOX_TMP)
        given = self.given.environment | self._given_files()
        environment = environment_build(environ, work=self.work, rc=rc, scratch=temporary, names=names, given=given)
        environment |= self._agent(agent_token)
        (self.work / ".home").mkdir(mode=0o700, exist_ok=True)
        commands, marker = self._commands(configuration, mirrors)
        prefix = sandbox_prefix(
            mode,
            readable=[rc, *self._readable(mirrors), *certificate_paths(environment)],
            writable=self._writable(scratch),
            hidden=self.sandbox.hidden,
            work=self.work,
        )
        for command in commands:
            command["argv"] = prefix + command["argv"]
        stage = {
            "phase": self.phase, "engine": {"kind": self.engine.kind, "version": self.engine.version},
            "sandbox": mode, "in_namespace": mode == "bubblewrap", "work": str(self.work), "commands": commands,
            "init_marker": marker, "scratch": str(scratch or ""), "given": str(self._given_folder),
            "limits": asdict(self.limits), "created_at": time.time(),
        }  # fmt: skip
        private_write(self.stage_dir / "environment.json", json.dumps(environment))
        private_write(self.stage_dir / "stage.json", json.dumps(stage, indent=1))

    @property
    def _given_folder(self) -> Path:
        return self.stage_dir / GIVEN

    def _given_files(self) -> dict[str, str]:
        """Puts the files of variable sets into a folder of this stage, each in one of its own; their paths by variable.

        The runner removes the folder when the stage ends.
        """
        paths: dict[str, str] = {}
        for number, file in enumerate(self.given.files):
            folder = self._given_folder / str(number)
            folder.mkdir(mode=0o700, parents=True)
            private_write(folder / file.name, file.content)
            paths[file.environment_variable] = str(folder / file.name)
        return paths

    def _agent(self, token: str) -> dict[str, str]:
        if self.sandbox.agent_socket is None:
            return {}
        return {
            "SLIPWAY_AGENT_SOCKET": str(self.sandbox.agent_socket.resolve()),
            "SLIPWAY_AGENT_TOKEN": token,
            "SLIPWAY_AGENT_PATIENCE_S": str(AGENT_PATIENCE_S),
        }

    def _commands(self, configuration: str, mirrors: Mapping[Path, Sequence[str]]) -> tuple[list[Command], Any]:
        """(commands without their sandbox, where to remember that init was done)."""
        if self.phase == "apply":
            assert self.plan is not None
            return [_command("apply", apply_command(self.engine, self.plan))], None
        saved = self.stage_dir / "plan.bin"
        commands = [
            _command("plan", plan_command(self.engine, self.options), take=[str(self.work / PLAN_IN_WORK), "plan.bin"]),
            _command("show", show_command(self.engine, saved), stdout="plan.json"),
        ]
        key = init_key(self.engine, self.work, configuration, mirrors)
        marker = self.work.parent / "init.json"
        if init_needed(self.work, marker, key):
            lock_prepare(self.work)
            commands.insert(0, _command("init", init_command(self.engine)))
        return commands, {"path": str(marker), "key": key}

    def _readable(self, mirrors: Mapping[Path, Sequence[str]]) -> Iterable[Path]:
        yield from interpreter_paths()
        yield from provider_paths()
        yield from self.engine.visible
        yield from mirrors
        yield from self.sandbox.readable
        if self.sandbox.agent_socket is not None:
            # Its directory: the socket itself would be the one of an agent that may be restarted meanwhile.
            yield self.sandbox.agent_socket.resolve().parent
        # Not there yet when a plan starts; what shows it comes after what made it.
        yield self.plan or self.stage_dir / "plan.bin"
        if self.given.files:
            yield self._given_folder

    def _writable(self, scratch: Path | None) -> list[Path]:
        found = [self.work]
        if scratch is not None:
            found.append(scratch)
        return found


def _command(name: str, argv: list[str], *, stdout: str = "log.jsonl", take: list[str] | None = None) -> Command:
    return {"name": name, "argv": argv, "stdout": stdout, "take": take}


def private_write(path: Path, text: str) -> None:
    """Readable by this user only from the first moment, and complete or absent."""
    temporary = path.with_name(f".{path.name}.new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
