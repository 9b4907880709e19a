"""What every process of a portal at rest holds, by its share of memory (PSS: shared pages are divided among users)."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import Figure, limited

if TYPE_CHECKING:
    from bench.session import Session

SETTLE_S = 20.0
LIMIT_MB = 1024.0
NAMES = (
    ("mlflow", "MLflow"), ("portal.up.web", "web"), ("celery -A portal worker", "worker"),
    ("celery -A portal beat", "beat"), ("manage.py agent", "agent"), ("manage.py up", "up"), ("postgres", "PostgreSQL"),
    ("valkey", "Valkey"), ("supervisord", "supervisor"),
)  # fmt: skip


def measure(session: Session) -> list[Figure]:
    portal = session.portal
    time.sleep(2 if session.quick else SETTLE_S)
    held: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for pid in descendants(portal.process.pid, str(portal.data)):
        pss, rss = memory_of(pid)
        held[name_of(pid)][0] += pss
        held[name_of(pid)][1] += rss
    for name, (pss, rss) in sorted(held.items(), key=lambda item: -item[1][0]):
        session.say(f"{name}: {pss:.0f} MB PSS, {rss:.0f} MB RSS")
    total = sum(pss for pss, _ in held.values())
    figures = [Figure("memory", f"{name}, PSS", pss, "MB") for name, (pss, _) in sorted(held.items(), key=_by_size)]
    whole = limited("memory", "Whole stack at rest, PSS summed", total, "MB", LIMIT_MB)
    return [whole, *figures]


def _by_size(item: tuple[str, list[float]]) -> float:
    return -item[1][0]


def descendants(top: int, data: str) -> list[int]:
    """`top`, all below it, and what put itself into the background but names the portal's folder."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {top} | {pid for pid in parents if pid != os.getpid() and data in command_of(pid)}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return sorted(found)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def name_of(pid: int) -> str:
    command = command_of(pid)
    return next((name for part, name in NAMES if part in command), "others")


def memory_of(pid: int) -> tuple[float, float]:
    """(PSS, RSS) in MB; nothing for a process that has just ended."""
    sizes = {"Pss": 0.0, "Rss": 0.0}
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in sizes:
                sizes[name] = int(rest.split()[0]) / 1024
    except OSError:
        pass
    return sizes["Pss"], sizes["Rss"]
