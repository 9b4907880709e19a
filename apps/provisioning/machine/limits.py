"""Memory, cpu and process limits of services: by control group where one can be written, else by a watch."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cgroups import Group, Groups, groups_detect
from .processes import descendants, process_is

PROCESSES_MAX = 2048


@dataclass(frozen=True)
class Usage:
    memory_bytes: int
    cpu_seconds: float


class Limits:
    """The way limits are held on this machine; `kind` is cgroup2, cgroup1 or watch."""

    def __init__(self, groups: Groups | None, warning: str = "") -> None:
        self.groups = groups
        self.kind = f"cgroup{groups.version}" if groups else "watch"
        self.warning = warning

    @classmethod
    def detect(cls, root: Path, *, wanted: str | None = None) -> "Limits":
        if wanted not in (None, "watch", "cgroup1", "cgroup2"):
            raise ValueError(f"limits are cgroup1, cgroup2 or watch, not {wanted!r}")
        if wanted == "watch":
            return cls(None)
        groups, reason = groups_detect(hashlib.sha256(os.fsencode(root)).hexdigest()[:10])
        found = cls(groups, f"Limits are held by a watch: {reason}." if reason else "")
        if wanted and found.kind != wanted:
            raise RuntimeError(f"No limits by {wanted} here: {reason or found.kind}")
        return found

    def group(self, workspace_id: str, service: str) -> dict[str, Any] | None:
        """What launch.json says of a service's control group."""
        if self.groups is None:
            return None
        group = self.groups.group(f"{workspace_id}.{service}")
        return {"version": group.version, "paths": group.paths}

    def processes(self, *, own_uid: bool) -> int | None:
        """RLIMIT_NPROC, where no control group counts. It counts all of a user's, so what runs now is added."""
        if self.groups is not None:
            return None
        if own_uid:
            return PROCESSES_MAX
        running = 0
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.getuid():
                    running += len(os.listdir(f"/proc/{name}/task"))
            except OSError:
                continue
        return running + PROCESSES_MAX

    @staticmethod
    def usage(state: dict[str, Any]) -> Usage:
        """Memory and cpu of a running service from its state.json."""
        if state.get("group"):
            group = Group(state["group"]["version"], state["group"]["paths"])
            return Usage(group.memory_bytes(), group.cpu_seconds())
        pid, started = state.get("main") or (None, None)
        if pid is None or not process_is(pid, started):
            return Usage(0, 0.0)
        tree = descendants(pid)
        return Usage(sum(stat.rss_bytes for stat in tree), sum(stat.cpu_seconds for stat in tree))
