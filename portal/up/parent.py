"""Ending with the `make` that called.

Ctrl-C reaches every process of the terminal, and make hands SIGTERM on; but a SIGINT or SIGHUP sent to make alone it
keeps to itself and waits, and killed by SIGKILL it tells nobody. Both end the portal too.
"""

import os
import signal
from pathlib import Path

from portal.up.process import die_with_parent

WATCHED = (signal.SIGINT, signal.SIGHUP)


class CallingMake:
    """The parent, when it is make. Polled, because nothing announces what it received."""

    def __init__(self) -> None:
        self.pid = os.getppid()
        self.caught = 0
        if _name(self.pid) in ("make", "gmake"):
            die_with_parent(signal.SIGTERM)
            self.caught = _caught(self.pid)

    def told_to_end(self) -> bool:
        """GNU make handles such a signal once: on entry it sets it back to its default, which the kernel shows."""
        if not self.caught or os.getppid() != self.pid:
            return False
        now = _caught(self.pid)
        return any(self.caught & _bit(number) and not now & _bit(number) for number in WATCHED)


def _bit(number: int) -> int:
    return 1 << (number - 1)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _caught(pid: int) -> int:
    """The signals for which the process has a handler, as a bit mask."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("SigCgt:"):
            return int(line.split()[1], 16)
    return 0
