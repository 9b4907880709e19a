"""Keeping a stage within its bounds: how long, how much memory, how many processes, how much output, how much disk.

For the stage's runner, which outlives the agent: standard library only, and nothing here waits or raises for what a
module does.
"""

import contextlib
import datetime
import json
import os
import selectors
import time
from collections.abc import Callable
from typing import Any

LOOK_EVERY_S = 1.0
# Counting a folder of a million files takes seconds; as many are too many by themselves.
MOST_FILES = 500_000
LONGEST_LINE = 256 * 1024
SHORTENED = 8 * 1024
ERRORS_KEPT = 1024 * 1024
# A line with the whole state, where Terraform could write it nowhere else: the only copy there is.
STATE_DUMP = b"Emergency state dump"
IN_HEAD = 400
ERROR = b'"@level":"error"'
MB = 1024 * 1024
READ_AT_ONCE = 256 * 1024


class Lines:
    """Terraform's JSON lines up to a number of bytes; beyond it only errors, and how much was left out."""

    def __init__(self, write: Callable[[bytes], None], limit: int) -> None:
        self.write = write
        self.left = limit
        self.errors_left = ERRORS_KEPT
        self.limit = limit
        self.dropped = 0
        self.partial = b""
        # The rest of a line that is too long: what is done with it until its end.
        self.rest: str = ""

    def feed(self, data: bytes) -> None:
        *whole, last = (self.partial + data).split(b"\n")
        for line in whole:
            self._line(line, ends=True)
        self.partial = last
        if len(last) > LONGEST_LINE:
            self._line(last, ends=False)
            self.partial = b""

    def close(self) -> None:
        if self.partial:
            self._line(self.partial, ends=True)
            self.partial = b""
        if self.dropped:
            self.write(note_line(f"{megabytes(self.dropped)} of output were left out."))

    def _line(self, line: bytes, *, ends: bool) -> None:
        first, rest = not self.rest, self.rest
        self.rest = "" if ends else rest
        if not first:
            if rest == "keep":
                self.write(line + (b"\n" if ends else b""))
            else:
                self.dropped += len(line)
            return
        if STATE_DUMP in line[:IN_HEAD]:
            self.write(line + (b"\n" if ends else b""))
            self.rest = "" if ends else "keep"
            return
        if len(line) > LONGEST_LINE:
            self.dropped += len(line) - SHORTENED
            line = line[:SHORTENED] + "… (the rest of this line was left out)".encode()
        self._take(line + b"\n")
        self.rest = "" if ends else "drop"

    def _take(self, line: bytes) -> None:
        if self.left >= len(line):
            self.left -= len(line)
            self.write(line)
            return
        if self.left >= 0:
            self.left = -1
            self.write(
                note_line(f"More than {megabytes(self.limit)} of output: the rest is left out, errors excepted.")
            )
        if ERROR in line and self.errors_left >= len(line):
            self.errors_left -= len(line)
            self.write(line)
        else:
            self.dropped += len(line)


class Bytes:
    """A file of up to a number of bytes; `exceeded` once there were more, which are dropped."""

    def __init__(self, write: Callable[[bytes], None], limit: int) -> None:
        self.write = write
        self.left = limit
        self.exceeded = False

    def feed(self, data: bytes) -> None:
        if len(data) > self.left:
            self.exceeded = True
        if data := data[: max(0, self.left)]:
            self.left -= len(data)
            self.write(data)

    def close(self) -> None:
        pass


class Guard:
    """Looks at a running command every second; `look` names the bound it has passed: time, memory, processes, disk."""

    def __init__(self, limits: dict[str, Any], work: str) -> None:
        self.limits = limits
        self.work = work
        self.since = time.monotonic()
        self.looked_at = self.since
        # Large trees are counted more seldom.
        self.disk_at = self.since

    def look(self, pid: int) -> str:
        now = time.monotonic()
        if now - self.looked_at < LOOK_EVERY_S:
            return ""
        self.looked_at = now
        seconds = self.limits.get("seconds")
        if seconds and now - self.since > seconds:
            return "time"
        return self._processes(pid) or self._disk(now)

    def _processes(self, pid: int) -> str:
        """Where a control group holds memory and processes it is faster; this is for where there is none."""
        count, memory = usage_below(pid)
        if self.limits.get("memory_bytes") and memory > self.limits["memory_bytes"]:
            return "memory"
        return "processes" if self.limits.get("processes") and count > self.limits["processes"] else ""

    def _disk(self, now: float) -> str:
        allowed = self.limits.get("disk_bytes")
        if not allowed or now < self.disk_at:
            return ""
        passed = folder_exceeds(self.work, allowed)
        took = time.monotonic() - now
        self.disk_at = time.monotonic() + took * 20
        return "disk" if passed else ""


def usage_below(pid: int) -> tuple[int, int]:
    """(processes, bytes of resident memory) of `pid` and all below it."""
    parents: dict[int, tuple[int, int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{entry}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
                parents[int(entry)] = (int(fields[1]), int(fields[21]))
    children: dict[int, list[int]] = {}
    for child, (parent, _) in parents.items():
        children.setdefault(parent, []).append(child)
    count, pages, waiting = 0, 0, [pid]
    while waiting:
        one = waiting.pop()
        if one in parents:
            count += 1
            pages += parents[one][1]
            waiting += children.get(one, [])
    return count, pages * os.sysconf("SC_PAGE_SIZE")


def folder_exceeds(folder: str, allowed: int) -> bool:
    """Whether the files below a folder take more than so many bytes, or are more than anybody needs."""
    used = files = 0
    waiting = [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    files += 1
                    with contextlib.suppress(OSError):
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                    if used > allowed or files > MOST_FILES:
                        return True
        except OSError:
            continue
    return False


def note_line(text: str) -> bytes:
    """A line of ours among Terraform's."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds")
    line = {"@level": "warn", "@message": text, "@module": "slipway", "@timestamp": now, "type": "slipway_note"}
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def megabytes(count: int) -> str:
    return f"{count / MB:.0f} MB" if count >= MB else f"{max(1, count // 1024)} KB"


def group_join(paths: list[str]) -> None:
    """Put this process into its control groups. Between fork and exec: no imports, no locks."""
    for path in paths:
        with contextlib.suppress(OSError):
            fd = os.open(f"{path}/cgroup.procs", os.O_WRONLY)
            try:
                os.write(fd, b"0")
            finally:
                os.close(fd)


def take_over(waiting: selectors.BaseSelector, timeout: float) -> bool:
    """Read what is there; False where there was nothing."""
    ready = waiting.select(timeout)
    for key, _ in ready:
        with contextlib.suppress(BlockingIOError):
            data = os.read(key.fd, READ_AT_ONCE)
            if data:
                key.data.feed(data)
            else:
                waiting.unregister(key.fileobj)
    return bool(ready)


def writer(file: Any) -> Any:
    """Writes all of it; a full disk loses output, never the outcome."""

    def write(data: bytes) -> None:
        with contextlib.suppress(OSError):
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]

    return write
