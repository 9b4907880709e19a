"""Which OS user an environment's code runs as: a number of its own, never given to two environments."""

import fcntl
import os
from pathlib import Path

from .errors import MachineError
from .files import json_read, json_write

# Above what systemd-nspawn and useradd take; where a user namespace maps less, the numbers of systemd's DynamicUser.
_RANGES = ((1_900_000_000, 1_900_099_999), (61_184, 65_519))


class Owners:
    """The record `owners.json`: workspace id to uid. Safe between processes."""

    def __init__(self, root: Path) -> None:
        self._record = root / "owners.json"
        self._lock = root / "owners.lock"
        self.first, self.last = _range_usable()

    def uid(self, workspace_id: str) -> int:
        """The workspace's uid, allocated on first use. Numbers come round only after the whole range was used."""
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = json_read(self._record) or {"next": self.first + 1, "owners": {}}
            if workspace_id in record["owners"]:
                return int(record["owners"][workspace_id])
            taken = set(record["owners"].values())
            size = self.last - self.first
            for step in range(size):
                candidate = self.first + 1 + (record["next"] - self.first - 1 + step) % size
                if candidate not in taken:
                    record["owners"][workspace_id] = candidate
                    record["next"] = candidate + 1
                    json_write(self._record, record)
                    return int(candidate)
        raise MachineError("All OS users for environments are in use.", code="machine:no-uid")

    def forget(self, workspace_id: str) -> None:
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = json_read(self._record)
            if record and record["owners"].pop(workspace_id, None) is not None:
                json_write(self._record, record)


def _range_usable() -> tuple[int, int]:
    mapped = []
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _outside, length = (int(value) for value in line.split())
        mapped.append((inside, inside + length - 1))
    for first, last in _RANGES:
        if any(low <= first and last <= high for low, high in mapped):
            return first, last
    return os.getuid(), os.getuid()
