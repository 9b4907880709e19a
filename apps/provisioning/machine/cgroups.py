"""Control groups, version 2 and version 1: memory, cpu and process limits of one service, and their counters.

Imported by the shim as well; standard library only. Formats: the kernel's admin-guide/cgroup-v2 and cgroup-v1.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

V2_CONTROLLERS = ("memory", "cpu", "pids")
V1_CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
_CPU_PERIOD_US = 100_000


@dataclass(frozen=True)
class Group:
    """One service's control group: a directory (version 2) or one per controller (version 1)."""

    version: int
    paths: dict[str, str]

    def _path(self, controller: str) -> Path | None:
        found = self.paths.get("" if self.version == 2 else controller)
        return Path(found) if found else None

    def _directories(self) -> list[Path]:
        return [Path(path) for path in dict.fromkeys(self.paths.values())]

    def create(self) -> None:
        for path in self._directories():
            path.mkdir(parents=True, exist_ok=True)

    def limit(self, *, memory_bytes: int | None, cpu: float | None, pids: int | None) -> None:
        """Set limits (None lifts one). `cpu` counts cores."""
        if self.version == 2:
            self._write("memory", "memory.max", memory_bytes or "max")
            self._write("memory", "memory.swap.max", 0 if memory_bytes else "max", optional=True)
            quota = max(1000, int(cpu * _CPU_PERIOD_US)) if cpu else "max"
            self._write("cpu", "cpu.max", f"{quota} {_CPU_PERIOD_US}")
            self._write("pids", "pids.max", pids or "max")
            return
        # Memory with swap may never be below memory alone: open it, then set both.
        self._write("memory", "memory.memsw.limit_in_bytes", -1, optional=True)
        self._write("memory", "memory.limit_in_bytes", memory_bytes or -1)
        self._write("memory", "memory.memsw.limit_in_bytes", memory_bytes or -1, optional=True)
        self._write("cpu", "cpu.cfs_period_us", _CPU_PERIOD_US)
        self._write("cpu", "cpu.cfs_quota_us", max(1000, int(cpu * _CPU_PERIOD_US)) if cpu else -1)
        self._write("pids", "pids.max", pids or "max")

    def join(self, pid: int) -> None:
        for path in self._directories():
            (path / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        found: set[int] = set()
        for path in self._directories():
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (path / "cgroup.procs").read_text().split())
        return sorted(found - {0})

    def kill(self, wait: float = 5.0) -> list[int]:
        """SIGKILL everything in the group until it is empty; returns what was killed."""
        killed: set[int] = set()
        deadline = time.monotonic() + wait
        # What forks as fast as one kills would never come to an end.
        self._write("pids", "pids.max", 0, optional=True)
        if self.version == 2:
            killed.update(self.pids())
            self._write("pids", "cgroup.kill", 1, optional=True)
        while pids := self.pids():
            killed.update(pids)
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        return sorted(killed)

    def remove(self) -> None:
        """Remove the empty group; the kernel needs a moment after the last process."""
        for path in self._directories():
            for _attempt in range(25):
                try:
                    path.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                else:
                    break

    def oom_kills(self) -> int:
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return self._counters("memory", name).get("oom_kill", 0)

    def memory_bytes(self) -> int:
        """Memory in use without file cache that can be given back at once."""
        if self.version == 2:
            return max(0, self._number("memory", "memory.current") - self._stat("inactive_file"))
        return max(0, self._number("memory", "memory.usage_in_bytes") - self._stat("total_inactive_file"))

    def cpu_seconds(self) -> float:
        if self.version == 2:
            return self._counters("cpu", "cpu.stat").get("usage_usec", 0) / 1e6
        return self._number("cpuacct", "cpuacct.usage") / 1e9

    def _stat(self, key: str) -> int:
        return self._counters("memory", "memory.stat").get(key, 0)

    def _counters(self, controller: str, name: str) -> dict[str, int]:
        path = self._path(controller)
        try:
            lines = (path / name).read_text().splitlines() if path else []
            return {key: int(value) for key, value in (line.split()[:2] for line in lines)}
        except (OSError, ValueError):
            return {}

    def _number(self, controller: str, name: str) -> int:
        path = self._path(controller)
        try:
            return int((path / name).read_text()) if path else 0
        except (OSError, ValueError):
            return 0

    def _write(self, controller: str, name: str, value: object, *, optional: bool = False) -> None:
        path = self._path(controller)
        if path is None:
            return
        try:
            (path / name).write_text(str(value))
        except OSError:
            if not optional:
                raise


@dataclass(frozen=True)
class Groups:
    """A place in the control group tree below which this machine's services get their groups."""

    version: int
    parents: dict[str, str]

    def group(self, name: str) -> Group:
        return Group(self.version, {controller: f"{parent}/{name}" for controller, parent in self.parents.items()})

    def remove(self) -> None:
        for path in dict.fromkeys(self.parents.values()):
            with contextlib.suppress(OSError):
                Path(path).rmdir()


def groups_detect(label: str) -> tuple[Groups | None, str]:
    """The place for this machine's groups, found by really limiting a process there; else None and why not.

    `label` keeps apart several agents on one machine.
    """
    reasons: list[str] = []
    for groups in (*_candidates_v2(label), *_candidates_v1(label)):
        try:
            _trial(groups)
        except OSError as error:
            groups.remove()
            reasons.append(f"cgroup{groups.version}: {error.strerror} ({error.filename})")
            continue
        return groups, ""
    return None, "; ".join(reasons[:3]) or "no control group controllers are mounted"


def _mounts() -> Iterable[tuple[str, str, list[str]]]:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _device, path, kind, options, *_rest = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield kind, path.replace("\\040", " "), options.split(",")


def _own() -> dict[str, str]:
    """Controller ("" for version 2) to this process's path in that hierarchy."""
    found: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _candidates_v2(label: str) -> Iterable[Groups]:
    """Own group, then its ancestors: the first that may hand memory, cpu and pids on to a child of it."""
    own = _own().get("", "/").strip("/")
    for kind, mount, _options in _mounts():
        if kind != "cgroup2":
            continue
        parts = own.split("/") if own else []
        for length in range(len(parts), -1, -1):
            parent = Path(mount, *parts[:length])
            with contextlib.suppress(OSError):
                offered = (parent / "cgroup.controllers").read_text().split()
                if not set(V2_CONTROLLERS) <= set(offered):
                    continue
                handed = set((parent / "cgroup.subtree_control").read_text().split())
                for controller in V2_CONTROLLERS:
                    if controller not in handed:
                        (parent / "cgroup.subtree_control").write_text(f"+{controller}")
                top = parent / f"slipway-{label}"
                top.mkdir(exist_ok=True)
                (top / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in V2_CONTROLLERS))
                yield Groups(2, {"": str(top)})


def _candidates_v1(label: str) -> Iterable[Groups]:
    own = _own()
    parents: dict[str, str] = {}
    for kind, mount, options in _mounts():
        for controller in V1_CONTROLLERS:
            if kind != "cgroup" or controller not in options or controller in parents:
                continue
            inside = Path(mount, own.get(controller, "/").strip("/"))
            parent = inside if inside.is_dir() else Path(mount)
            parents[controller] = str(parent / f"slipway-{label}")
    if {"memory", "cpu", "pids"} <= parents.keys():
        try:
            for path in parents.values():
                Path(path).mkdir(exist_ok=True)
        except OSError:
            return
        yield Groups(1, parents)


def _trial(groups: Groups) -> None:
    group = groups.group(f"trial-{os.getpid()}")
    process = None
    try:
        group.create()
        group.limit(memory_bytes=64 << 20, cpu=0.5, pids=16)
        process = subprocess.Popen(["/bin/sh", "-c", "read x"], stdin=subprocess.PIPE, env={})
        group.join(process.pid)
        if process.pid not in group.pids():
            raise OSError("a process did not enter the group")
    finally:
        if process:
            process.kill()
            process.communicate()
        group.remove()
