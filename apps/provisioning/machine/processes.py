"""Processes by pid *and* kernel start time, so that a number used again by a stranger is never signalled.

Reads /proc itself: the shim over each service imports it and must not need psutil.
"""

import contextlib
import os
import resource
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
TREE_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProcessStat:
    """One line of /proc: start time in clock ticks since boot, memory in bytes, cpu in seconds."""

    pid: int
    parent: int
    state: str
    started: int
    rss_bytes: int
    cpu_seconds: float


def process_stat(pid: int) -> ProcessStat | None:
    """None when there is no such process, or only its zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command name may hold spaces and brackets: count fields from the last bracket (proc(5): field 3 is first).
    fields = text[text.rindex(")") + 2 :].split()
    if fields[0] in "ZX":
        return None
    return ProcessStat(
        pid=pid,
        parent=int(fields[1]),
        state=fields[0],
        started=int(fields[19]),
        rss_bytes=int(fields[21]) * _PAGE,
        cpu_seconds=sum(int(value) for value in fields[11:15]) / _TICKS,
    )


def process_start(pid: int) -> int:
    """Kernel start time of `pid` in ticks since boot; 0 when it is gone."""
    found = process_stat(pid)
    return found.started if found else 0


def boot_id() -> str:
    """Changes with every boot: start times of another boot mean nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_is(pid: int | None, started: int | None, boot: str | None = None) -> bool:
    """Whether `pid` is alive and the same process that was recorded."""
    if not pid or not started or (boot is not None and boot != boot_id()):
        return False
    return process_start(pid) == started


def processes_all() -> list[ProcessStat]:
    found = (process_stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return [stat for stat in found if stat]


def descendants(pid: int) -> list[ProcessStat]:
    """`pid` and everything below it, from one look at /proc."""
    children: dict[int, list[ProcessStat]] = {}
    found: list[ProcessStat] = []
    for stat in processes_all():
        children.setdefault(stat.parent, []).append(stat)
        if stat.pid == pid:
            found.append(stat)
    for stat in found:
        found.extend(children.get(stat.pid, ()))
    return found


def is_below(pid: int, ancestor: int | None) -> bool:
    """Whether `pid` is `ancestor` or was started, however indirectly, by it."""
    for _level in range(1000):
        if pid == ancestor:
            return True
        found = process_stat(pid)
        if found is None or found.parent <= 1:
            return found is not None and found.parent == ancestor
        pid = found.parent
    return False


def memory_proportional(stat: ProcessStat) -> int:
    """Bytes of a process with pages shared by forks counted in parts; its resident size where that is not readable."""
    try:
        for line in Path(f"/proc/{stat.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return stat.rss_bytes


def processes_kill(targets: Iterable[tuple[int, int]], *, wait: float = 5.0) -> list[int]:
    """SIGKILL each (pid, start time) that is still the same process, wait for their end, return the pids killed."""
    alive = [(pid, started) for pid, started in targets if process_is(pid, started) and pid != os.getpid()]
    for pid, _started in alive:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    killed = [pid for pid, _started in alive]
    deadline = time.monotonic() + wait
    while alive and time.monotonic() < deadline:
        alive = [(pid, started) for pid, started in alive if process_is(pid, started)]
        if alive:
            time.sleep(0.02)
    return killed


def tree_end(ancestor: int) -> int:
    """SIGKILL everything below `ancestor`, also what forks faster than /proc can be read; returns how many were seen.

    What has been seen once may not fork any more (its limit of processes is set to nothing), nor may what it had begun
    meanwhile, once seen: each look finds fewer that are new.
    """
    ended: set[tuple[int, int]] = set()
    deadline = time.monotonic() + TREE_SECONDS
    while below := [stat for stat in descendants(ancestor) if stat.pid != ancestor]:
        for stat in below:
            with contextlib.suppress(OSError, ValueError):
                if (stat.pid, stat.started) not in ended:
                    resource.prlimit(stat.pid, resource.RLIMIT_NPROC, (0, 0))
                os.kill(stat.pid, signal.SIGKILL)
        ended.update((stat.pid, stat.started) for stat in below)
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    return len(ended)


def processes_marked(marker: str) -> list[tuple[int, int]]:
    """(pid, start time) of all processes whose environment holds `marker` ("NAME=value") and can be read by us."""
    wanted = marker.encode()
    found = []
    for stat in processes_all():
        try:
            environment = Path(f"/proc/{stat.pid}/environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            found.append((stat.pid, stat.started))
    return found
