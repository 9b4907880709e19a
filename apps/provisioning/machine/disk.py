"""Watches that no environment fills the disk: measures volumes as often as is cheap, stops what grows too far.

Two bounds. A volume's `size_limit_mb` counts its files and the /tmp of its services. The machine's reserve is never
given to anybody: when free space falls below it, the running environment that grew most is stopped. A service stopped
here can be started again to make room; then it is stopped as soon as it has grown again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .records import ServiceRecord
from .trees import tree_used_bytes

TICK_S = 0.5
MEASURE_EVERY_S = 10.0
# Measuring takes at most a thirtieth of one processor, however many files there are; a tenth when space vanishes.
CALM, HURRY = 30, 10
# How far somebody who is over the limit already may still go, to be able to delete.
GRACE_BYTES = 64 << 20
# Less than this is not what fills a disk.
NOTABLE_BYTES = 16 << 20
logger = logging.getLogger(__name__)

Key = tuple[str, str]


def reserve_default(total: int) -> int:
    """Bytes nobody may take: 2 % of the disk, at least 1 GiB, yet not above 5 %, where launches are refused."""
    return min(max(total // 50, 1 << 30), total // 20)


def free_bytes(path: Path) -> tuple[int, int]:
    """Free bytes for us on the disk below `path`, and its size."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


@dataclass
class Measured:
    """What a service's environment was last seen to use. `before` is the figure of the time before."""

    generation: int
    used: int
    scratch: int
    at: float
    took: float
    before: int
    allowed: int | None = None

    @property
    def total(self) -> int:
        return self.used + self.scratch


class DiskWatch:
    """One thread. `records` gives all services, `limit` a volume's bytes or None, `stop` ends one with a reason."""

    def __init__(
        self,
        root: Path,
        *,
        records: Callable[[], list[ServiceRecord]],
        places: Callable[[ServiceRecord], tuple[Path, Path]],
        limit: Callable[[ServiceRecord], int | None],
        stop: Callable[[ServiceRecord, str], None],
        reserve_bytes: int | None = None,
    ) -> None:
        self.root = root
        self._records, self._places, self._limit, self._stop = records, places, limit, stop
        self._reserve = reserve_bytes
        self._known: dict[Key, Measured] = {}
        self._closing = threading.Event()
        self._free = 0
        self._thread = threading.Thread(target=self._run, name="machine-disk", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=30)

    def used_bytes(self, workspace_id: str, service: str) -> int | None:
        """Bytes of the volume of a service when it was last measured, which may be a while ago."""
        known = self._known.get((workspace_id, service))
        return known.used if known else None

    def reserve(self) -> int:
        return reserve_default(free_bytes(self.root)[1]) if self._reserve is None else self._reserve

    def short(self) -> bool:
        """Whether the disk is down to its reserve."""
        return free_bytes(self.root)[0] < self.reserve()

    def _run(self) -> None:
        while not self._closing.wait(TICK_S):
            try:
                self.look()
            except Exception:
                logger.exception("the disk could not be looked at; trying again")

    def look(self) -> None:
        """One round: measure what is due, stop what is too large, and make sure of the reserve."""
        free, reserve = free_bytes(self.root)[0], self.reserve()
        vanishing = free < reserve * 2 and self._free - free > NOTABLE_BYTES
        self._free = free
        records = self._records()
        present = {(record.workspace_id, record.name) for record in records}
        self._known = {key: value for key, value in self._known.items() if key in present}
        for record in records:
            if self._closing.is_set():
                return
            if self._due(record, hurry=vanishing or free < reserve):
                self._check(record, self._measure(record))
        if free < reserve:
            self._make_room(records, free)

    def _due(self, record: ServiceRecord, *, hurry: bool) -> bool:
        known = self._known.get((record.workspace_id, record.name))
        if known is None or (record.wanted and known.generation != record.generation):
            return True
        if not record.wanted or record.failed:
            return False  # It was measured when it stopped; nobody writes there now.
        age = time.monotonic() - known.at
        return age > (max(TICK_S, HURRY * known.took) if hurry else max(MEASURE_EVERY_S, CALM * known.took))

    def _measure(self, record: ServiceRecord) -> Measured:
        volume, scratch = self._places(record)
        key = (record.workspace_id, record.name)
        known = self._known.get(key)
        began = time.monotonic()
        used, temporary = tree_used_bytes(volume), tree_used_bytes(scratch)
        ended = time.monotonic()
        same = known is not None and known.generation == record.generation
        total = used + temporary
        # A first look at a new run: what it had before it began is not its doing.
        before = known.total if known and same else total
        found = Measured(record.generation, used, temporary, ended, ended - began, before)
        limit = self._limit(record)
        if limit is not None:
            over_at_start = known.allowed if known and same else (total + GRACE_BYTES if total > limit else limit)
            found.allowed = limit if total <= limit else max(limit, over_at_start or limit)
        self._known[key] = found
        return found

    def _check(self, record: ServiceRecord, measured: Measured) -> None:
        limit = self._limit(record)
        if not record.wanted or record.failed or limit is None or measured.allowed is None:
            return
        if measured.total <= measured.allowed:
            return
        temporary = f" ({gigabytes(measured.scratch)} of it in /tmp)" if measured.scratch > NOTABLE_BYTES else ""
        self._stop(
            record,
            f"Your files take {gigabytes(measured.total)}{temporary}, more than the {gigabytes(limit)} of this "
            "environment, so it was stopped. Nothing was deleted. Start it again to make room.",
        )

    def _make_room(self, records: list[ServiceRecord], free: int) -> None:
        """Stop the one that grew most since the look before, if any did: what does not grow is kept."""
        running = [record for record in records if record.wanted and not record.failed]
        grown = [
            (known.total - known.before, record)
            for record in running
            if (known := self._known.get((record.workspace_id, record.name)))
        ]
        largest, record = max(grown, key=lambda pair: pair[0], default=(0, None))
        if record is None or largest < NOTABLE_BYTES:
            return
        logger.warning("%s is left on the disk: %s is stopped", gigabytes(free), record.workspace_id)
        self._stop(
            record,
            f"The machine's disk is full ({gigabytes(free)} left) and this environment was writing to it "
            f"({gigabytes(largest)} just now), so it was stopped. Nothing was deleted. Start it again to make room.",
        )


def gigabytes(count: int) -> str:
    return f"{count / 2**30:.1f} GB" if count >= 1 << 30 else f"{count / 2**20:.0f} MB"
