"""Watching from the outside while a portal works: every process of the machine, and every command Valkey gets."""

import contextlib
import os
import threading
import time
from dataclasses import dataclass
from typing import Any

import redis

PAUSE_S = 0.05
# A process that lives longer has become what it will be, and is looked at more seldom.
YOUNG_S, SELDOM_S = 3.0, 1.0


@dataclass(frozen=True)
class Seen:
    """A process as it was at some moment; a process that execs is seen once as each."""

    pid: int
    command: bytes
    environ: bytes

    @property
    def variables(self) -> dict[str, str]:
        pairs = (pair.partition(b"=") for pair in self.environ.split(b"\0") if pair)
        return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, _, value in pairs}

    @property
    def words(self) -> str:
        return self.command.replace(b"\0", b" ").decode("utf-8", "replace").strip()


class ProcessWatch:
    """Samples command line and environment of every process, about twenty times a second."""

    def __init__(self) -> None:
        self.seen: dict[tuple[int, bytes], Seen] = {}
        self._first: dict[str, float] = {}
        self._next: dict[str, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "ProcessWatch":
        self._thread.start()
        return self

    def stop(self) -> list[Seen]:
        self._end.set()
        self._thread.join(10)
        return list(self.seen.values())

    def _run(self) -> None:
        own = str(os.getpid())
        while not self._end.wait(PAUSE_S):
            now = time.monotonic()
            present = [entry for entry in os.listdir("/proc") if entry.isdigit() and entry != own]
            for entry in present:
                if now >= self._next.get(entry, 0.0):
                    self._look(entry)
                    young = now - self._first.setdefault(entry, now) < YOUNG_S
                    self._next[entry] = 0.0 if young else now + SELDOM_S
            for gone in self._first.keys() - set(present):
                self._first.pop(gone)
                self._next.pop(gone, None)

    def _look(self, pid: str) -> None:
        try:
            command = _read(f"/proc/{pid}/cmdline")
            if not command or (int(pid), command) in self.seen:
                return
            environ = _read(f"/proc/{pid}/environ")
        except OSError:
            # It has ended meanwhile, or belongs to somebody else.
            return
        # Between fork and exec a child has its parent's command line and environment; it is looked at again.
        self.seen[int(pid), command] = Seen(int(pid), command, environ)


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


class QueueWatch:
    """What Valkey is told, Celery's messages among it, by its own MONITOR command."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.commands: list[str] = []
        self._monitor: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "QueueWatch":
        self._thread.start()
        deadline = time.monotonic() + 10
        while self._monitor is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self

    def _run(self) -> None:
        # The server ends first, at whatever point of the protocol.
        with contextlib.suppress(Exception), redis.Redis.from_url(self.url).monitor() as monitor:
            self._monitor = monitor
            for command in monitor.listen():
                self.commands.append(str(command["command"]))

    def everything_kept(self) -> list[tuple[str, bytes]]:
        """Every key with what it holds."""
        client = redis.Redis.from_url(self.url)
        return [(key.decode("utf-8", "replace"), _value(client, key)) for key in client.scan_iter()]


def _value(client: Any, key: bytes) -> bytes:
    kind = client.type(key).decode()
    readers = {
        "string": lambda: client.get(key),
        "list": lambda: client.lrange(key, 0, -1),
        "set": lambda: client.smembers(key),
        "zset": lambda: client.zrange(key, 0, -1, withscores=True),
        "hash": lambda: client.hgetall(key),
    }
    found = readers[kind]() if kind in readers else b""
    return found if isinstance(found, bytes) else repr(found).encode()
