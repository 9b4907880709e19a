"""One command in the sandbox of stages, bounded in time and output, that ends with this agent."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# What is kept of the output: its beginning and its end.
HEAD = 24_000
TAIL = 40_000
OUTPUT_BYTES = 32 * 2**20
LOOK_EVERY_S = 0.5
BLOCK = 65_536
# Ends with the thread that started it, also where no sandbox sees to that: PR_SET_PDEATHSIG, SIGKILL.
WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execvp(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class Ran:
    """How a command ended. `ended` says why it was made to: time, output, stopping, or what `watch` answered."""

    exit_code: int
    output: str
    seconds: float
    ended: str = ""

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.ended


def sandboxed_run(
    argv: list[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    seconds: float,
    stopping: threading.Event,
    watch: Callable[[], str] = lambda: "",
) -> Ran:
    """Run `argv`, which begins with its sandbox; standard error goes where standard output goes.

    `watch` is asked twice a second; what it answers ends the command.
    """
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", WITH_PARENT, *argv],
        env=dict(environment),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    kept = _Kept()
    ended = ""
    try:
        ended = _follow(process, kept, started + seconds, stopping, watch)
    finally:
        # In bubblewrap everything ends with the first process; elsewhere what stayed in its session does.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return Ran(process.returncode, kept.text(), time.monotonic() - started, ended)


def _follow(
    process: "subprocess.Popen[bytes]",
    kept: "_Kept",
    deadline: float,
    stopping: threading.Event,
    watch: Callable[[], str],
) -> str:
    """Read until the command has ended, or has to; answers why it has to."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    looked_at = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        is_open = True
        while True:
            if is_open and selector.select(LOOK_EVERY_S):
                try:
                    block = os.read(descriptor, BLOCK)
                except BlockingIOError:
                    block = b""
                else:
                    is_open = bool(block)
                kept.add(block)
            elif not is_open:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_EVERY_S)
            if process.poll() is not None:
                kept.drain(descriptor)
                return ""
            if kept.total > OUTPUT_BYTES:
                return "output"
            if stopping.is_set():
                return "stopping"
            if time.monotonic() > deadline:
                return "time"
            if time.monotonic() - looked_at >= LOOK_EVERY_S:
                looked_at = time.monotonic()
                if why := watch():
                    return why


class _Kept:
    """The beginning and the end of a stream of bytes."""

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.total = 0

    def add(self, block: bytes) -> None:
        self.total += len(block)
        room = HEAD - len(self.head)
        if room > 0:
            self.head += block[:room]
            block = block[room:]
        self.tail += block
        if len(self.tail) > 2 * TAIL:
            del self.tail[:-TAIL]

    def drain(self, descriptor: int) -> None:
        """What is in the pipe when the command has ended; a grandchild that still holds it is not waited for."""
        with contextlib.suppress(BlockingIOError):
            while self.total <= OUTPUT_BYTES and (block := os.read(descriptor, BLOCK)):
                self.add(block)

    def text(self) -> str:
        tail = self.tail[-TAIL:]
        left_out = self.total - len(self.head) - len(tail)
        middle = f"\n… {left_out} bytes left out …\n" if left_out > 0 else ""
        return self.head.decode("utf-8", "replace") + middle + tail.decode("utf-8", "replace")
