"""What services are doing, in states and in words."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .files import json_read
from .limits import Limits
from .processes import boot_id, process_is
from .records import ServiceRecord
from .shim import CRASH_WINDOW_S, CRASHES_MAX


@dataclass(frozen=True)
class ServiceObservation:
    """One look at one service. `status` is running, starting, stopped, crashed, out_of_memory or out_of_disk.

    `started_at` is in seconds since the epoch; `oom_kills` counts processes ended for want of memory since the service
    was last started, while it may go on; `memory_limit_bytes` is None without a limit. `disk_bytes` are those of its
    volume, None while they have not been measured.
    """

    workspace_id: str
    service: str
    status: str
    reason: str
    pid: int | None = None
    restarts: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    cpu_seconds: float = 0.0
    started_at: float | None = None
    oom_kills: int = 0
    disk_bytes: int | None = None


def state_read(directory: Path, generation: int) -> dict[str, Any]:
    """state.json of the run the record speaks of, `alive` added; an empty one before it has started."""
    state: dict[str, Any] = json_read(directory / "state.json") or {}
    if state.get("generation") != generation:
        return {"exits": [], "restarts": 0, "oom_kills": 0, "phase": "none", "alive": False}
    pid, started = state.get("shim") or (None, None)
    state["alive"] = process_is(pid, started) and state.get("boot") == boot_id()
    return state


def service_observe(directory: Path, record: ServiceRecord) -> ServiceObservation:
    state = state_read(directory, record.generation)
    status, reason = _status(record, state)
    limit = record.spec.memory_mb * 1024 * 1024 if record.spec.memory_mb else None
    alive = state["alive"] and state["phase"] == "running"
    usage = Limits.usage(state) if alive else None
    process = state.get("service") or state.get("main")
    return ServiceObservation(
        workspace_id=record.workspace_id,
        service=record.name,
        status=status,
        reason=reason,
        pid=process[0] if alive and process else None,
        restarts=state["restarts"] if record.wanted else 0,
        memory_bytes=usage.memory_bytes if usage else 0,
        memory_limit_bytes=limit,
        cpu_seconds=usage.cpu_seconds if usage else 0.0,
        started_at=state.get("started_at") if alive else None,
        oom_kills=state["oom_kills"],
    )


def _status(record: ServiceRecord, state: dict[str, Any]) -> tuple[str, str]:
    if record.suspended is not None:
        return "stopped", record.suspended
    if not record.spec.running:
        return "stopped", record.stop_reason
    if record.failed:
        return record.failed["status"], record.failed["reason"]
    memory = memory_words(record.spec.memory_mb)
    phase = state["phase"]
    if phase == "out_of_memory":
        return "out_of_memory", f"{memory} of memory reached at {clock(state['oom_at'])}: the service was ended."
    if phase == "gave_up":
        return "crashed", (
            f"It ended {CRASHES_MAX} times within {CRASH_WINDOW_S // 60} minutes and is not started again. "
            f"{exit_words(state['exits'])}"
        )
    if state["alive"] and phase == "running":
        if record.healthy_run != [record.generation, state["restarts"]]:
            return "starting", "Waiting for its first answer."
        words = []
        if state["oom_kills"]:
            what = f"{state['oom_kills']} processes were" if state["oom_kills"] > 1 else "a process was"
            at = clock(state["oom_at"])
            words.append(f"{memory} of memory reached at {at}: {what} ended (a notebook's kernel, most likely).")
        if state["restarts"]:
            words.append(f"Restarted. {exit_words(state['exits'])}")
        return "running", " ".join(words)
    if state["exits"] and state["alive"]:
        return "starting", f"Being restarted. {exit_words(state['exits'])}"
    if state["exits"]:
        fresh = time.time() - state["exits"][-1]["at"] < 20
        return "starting" if fresh else "crashed", exit_words(state["exits"])
    return "starting", "Being started."


def exit_words(exits: list[dict[str, Any]]) -> str:
    """How the last run ended, as a sentence."""
    if not exits:
        return ""
    last = exits[-1]
    how = f"by signal {last['signal']}" if last["signal"] else f"with exit code {last['code']}"
    return f"It ended at {clock(last['at'])} {how}."


def clock(at: float | None) -> str:
    return datetime.fromtimestamp(at or 0, UTC).strftime("%H:%M UTC")


def memory_words(megabytes: int | None) -> str:
    if not megabytes:
        return "The machine's limit"
    return f"{megabytes / 1024:g} GB" if megabytes >= 1024 else f"{megabytes} MB"
