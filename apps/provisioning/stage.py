"""Stages: one phase of a change (plan, apply, refresh) as a detached process whose every trace is a file.

The agent starts a stage and only watches. When the agent dies the stage goes on; the next agent re-attaches by
process id and kernel start time, or finds the outcome. When the stage's runner is killed its Terraform ends with it,
and `poll` says "lost".
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from apps.provisioning.engine import Engine, EngineError, PlanOptions
from apps.provisioning.plans import plan_digest
from apps.provisioning.stage_runner import stat_of
from apps.provisioning.stage_setup import Phase, StageLimits, StageSetup
from apps.provisioning.terraform_log import Diagnostic, diagnostics_from_log, diagnostics_from_text
from apps.provisioning.terraform_sandbox import SandboxSpec
from apps.variable_sets.given import Given

Status = Literal["succeeded", "failed", "cancelled", "lost"]

RUNNER = Path(__file__).resolve().with_name("stage_runner.py")
# A runner that has not claimed its stage by then never will.
CLAIM_S = 5.0
# What is read of a log for its diagnostics; they come last.
LOG_TAIL = 4 * 1024 * 1024


class StageExists(EngineError):
    """This directory already belongs to a stage: attach to it."""

    code = "provisioning:stage-exists"


class PlanMismatch(EngineError):
    """The plan is not the approved one, or another engine made it: plan again."""

    code = "provisioning:plan-stale"


@dataclass(frozen=True)
class CommandOutcome:
    """One Terraform command; times in seconds since the epoch."""

    name: str
    exit_code: int
    started_at: float
    finished_at: float


@dataclass(frozen=True)
class StageResult:
    """How a stage ended. "lost": its runner was killed; what Terraform had done until then is in the state file.

    `cancelled` says that a cancel was asked for; a stage may have succeeded all the same. `passed` is the bound for
    which it was ended: time, memory, processes, disk or plan (its JSON was too large); empty where it was not.
    """

    status: Status
    exit_code: int | None
    commands: tuple[CommandOutcome, ...] = ()
    cancelled: bool = False
    passed: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "succeeded"


@dataclass(frozen=True)
class StageHandle:
    """A stage that was started, by this process or by one before it."""

    stage_dir: Path
    pid: int
    start_time: int

    def alive(self) -> bool:
        fields = stat_of(self.pid)
        return self._is_it(fields) and fields[0] not in ("Z", "X")

    def poll(self) -> StageResult | None:
        """None while it runs; afterwards always the same result."""
        # Asked before the outcome is read: it may end between the two.
        running = self.alive()
        result = _outcome_read(self.stage_dir)
        if result is None and running:
            return None
        if result is None:
            _session_kill(self.pid, self.start_time)
            _scratch_remove(self.stage_dir)
            result = StageResult("lost", None)
        self._reap()
        return result

    def wait(self, timeout: float) -> StageResult | None:
        """The result, or None after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while (result := self.poll()) is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return result

    def cancel(self) -> None:
        """Ask Terraform to finish what it is creating and to stop then. May be repeated; Terraform hears it once."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End everything at once. What was being created may then exist without the state knowing it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(OSError):
            fd = os.pidfd_open(self.pid)
            try:
                # Looked at after opening: the descriptor cannot come to mean another process.
                if self.alive():
                    signal.pidfd_send_signal(fd, number)
            finally:
                os.close(fd)

    def _reap(self) -> None:
        """Let the kernel forget our own ended child; another's, or a later one of its number, is not ours."""
        deadline = time.monotonic() + 2.0
        with contextlib.suppress(ChildProcessError):
            while self._is_it(stat_of(self.pid)) and time.monotonic() < deadline:
                if os.waitpid(self.pid, os.WNOHANG) != (0, 0):
                    return
                time.sleep(0.005)

    def _is_it(self, fields: list[str]) -> bool:
        return bool(self.pid and fields) and int(fields[19]) == self.start_time


def stage_start(
    engine: Engine,
    *,
    work: Path,
    stage_dir: Path,
    phase: Phase,
    sandbox: SandboxSpec,
    environ: Mapping[str, str],
    agent_token: str = "",
    options: PlanOptions | None = None,
    plan: Path | None = None,
    plan_hash: str = "",
    pass_variables: Sequence[str] = (),
    given: Given | None = None,
    limits: StageLimits | None = None,
) -> StageHandle:
    """Start one phase and return at once.

    `work` is the root module with its `terraform.tfvars.json`; `stage_dir` is new. "plan" and "refresh" leave
    `plan.bin` and `plan.json` there; "apply" takes the `plan.bin` of an earlier stage as `plan` and refuses any whose
    digest is not `plan_hash`. `environ` is this process's environment: an allow-list and the names in
    `pass_variables` go on to Terraform; `given` is what variable sets add, whose files lie in the stage's folder until
    it ends; `limits` are the bounds it is held to. Raises StageExists and PlanMismatch.
    """
    work, stage_dir = work.resolve(), stage_dir.resolve()
    if phase == "apply":
        plan = _plan_check(engine, plan, plan_hash)
    stage_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (stage_dir / "stage.json").exists():
        raise StageExists(f"The stage {stage_dir.parent.name}/{stage_dir.name} has already been started.")
    setup = StageSetup(
        engine, work, stage_dir, phase, sandbox, options or PlanOptions(), plan, given or Given(),
        limits or StageLimits(),
    )  # fmt: skip
    setup.write(environ, agent_token=agent_token, names=pass_variables)
    return _spawn(stage_dir)


def stage_attach(stage_dir: Path) -> StageHandle | None:
    """The stage in this directory, whoever started it; None where none was started.

    A stage whose starter died before its runner came up is claimed here, so that it can never start later: it polls
    as "lost".
    """
    stage_dir = stage_dir.resolve()
    if not (stage_dir / "stage.json").exists():
        return None
    deadline = time.monotonic() + CLAIM_S
    while not (stage_dir / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    with contextlib.suppress(FileExistsError):
        fd = os.open(stage_dir / "pid", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write('{"pid": 0, "start_time": 0}')
    claimed = json.loads((stage_dir / "pid").read_text() or '{"pid": 0, "start_time": 0}')
    return StageHandle(stage_dir, claimed["pid"], claimed["start_time"])


def stage_diagnostics(stage_dir: Path) -> list[Diagnostic]:
    """Every error and warning of a stage, also those which a command only told on standard error."""
    found: list[Diagnostic] = []
    with contextlib.suppress(FileNotFoundError), (stage_dir / "log.jsonl").open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL))
        found += diagnostics_from_log(file.read().decode("utf-8", "replace").splitlines())
    for path in sorted(stage_dir.glob("*.err")):
        found += diagnostics_from_text(path.read_text("utf-8", "replace")[-LOG_TAIL:])
    return list(dict.fromkeys(found))


def stage_info(stage_dir: Path) -> dict[str, Any]:
    """What was started: phase, engine {kind, version}, sandbox, created_at."""
    stage = json.loads((stage_dir / "stage.json").read_text())
    return {key: stage[key] for key in ("phase", "engine", "sandbox", "created_at")}


def _plan_check(engine: Engine, plan: Path | None, plan_hash: str) -> Path:
    """The approved plan, made by this very engine."""
    if plan is None or not plan.is_file():
        raise PlanMismatch("The plan is no longer there; it has to be made again.")
    if plan_hash and plan_digest(plan) != plan_hash:
        raise PlanMismatch("This is not the plan that was approved; it has to be made again.")
    with contextlib.suppress(OSError, KeyError, ValueError):
        made_by = stage_info(plan.parent)["engine"]
        if not engine.accepts_plan_of(made_by["kind"], made_by["version"]):
            raise PlanMismatch(
                f"{made_by['kind']} {made_by['version']} made this plan, but {engine.label} runs now: "
                "it has to be made again."
            )
    return plan.resolve()


def _spawn(stage_dir: Path) -> StageHandle:
    """The runner in a session of its own, with nothing of ours: no descriptors, no environment, default signals."""
    # No Popen object: the runner is meant to be left behind.
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", str(RUNNER), str(stage_dir)],
        {"PATH": os.defpath, "LANG": "C.UTF-8"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(stage_dir / "runner.err"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGALRM],
    )
    fields = stat_of(pid)
    return StageHandle(stage_dir, pid, int(fields[19]) if fields else 0)


def _outcome_read(stage_dir: Path) -> StageResult | None:
    try:
        told = json.loads((stage_dir / "exit").read_text())
    except FileNotFoundError:
        return None
    code, cancelled = told["exit_code"], told["cancelled"]
    finished = len(told["commands"]) == told["planned"] and code == 0
    status: Status = "succeeded" if finished else "cancelled" if cancelled else "failed"
    commands = tuple(CommandOutcome(**command) for command in told["commands"])
    return StageResult(status, code, commands, cancelled, "" if finished else told.get("passed", ""))


def _scratch_remove(stage_dir: Path) -> None:
    """What a killed runner could not remove any more."""
    with contextlib.suppress(OSError):
        (stage_dir / "environment.json").unlink(missing_ok=True)
    with contextlib.suppress(OSError, ValueError):
        stage = json.loads((stage_dir / "stage.json").read_text())
        for path in filter(None, (stage.get("scratch"), stage.get("given"))):
            shutil.rmtree(path, ignore_errors=True)


def _session_kill(session: int, since: int) -> None:
    """End what a killed runner left in its session, where no process namespace did it.

    The number of a session is not given away while a process is in it, unless the session is a newer one of another
    leader.
    """
    leader = stat_of(session) if session else []
    if not session or (leader and int(leader[19]) != since):
        return
    for entry in os.listdir("/proc"):
        fields = stat_of(entry) if entry.isdigit() else []
        if fields and int(fields[3]) == session and int(fields[19]) >= since:
            with contextlib.suppress(OSError):
                os.kill(int(entry), signal.SIGKILL)
