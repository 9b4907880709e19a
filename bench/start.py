"""Click to Terraform's process, and a log line's way to fifty open pages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg

from bench.figures import Figure, limited, median, percentile

if TYPE_CHECKING:
    from bench.portal import Portal
    from bench.session import Session

READERS = 50
PROCESS_S, LINE_S = 0.3, 0.5
MARK = "bench-mark"


def measure(session: Session) -> list[Figure]:
    portal, token = session.portal, session.token("dana")
    key = portal.launch(token, "start")
    portal.wait([key], "running")
    try:
        with Readers(portal, key, session.session_of("dana"), 5 if session.quick else READERS) as readers:
            clicks = [_click(portal, token, key) for _ in range(3 if session.quick else 30)]
            build = list(readers.build)
            _application_lines(portal, key, 5 if session.quick else 60)
            time.sleep(1.5)
            application = list(readers.application)
    finally:
        portal.destroy(token, key, "start")
        portal.wait([key], "destroyed")
    session.say(f"{len(clicks)} clicks, {len(build)} and {len(application)} lines received")
    return _figures(clicks, build, application, readers.count)


def _figures(clicks: list[float], build: list[float], application: list[float], readers: int) -> list[Figure]:
    slow = percentile(clicks, 0.95)
    found = [
        Figure("start", "Click to Terraform's process, median", median(clicks), "s"),
        limited("start", "Click to Terraform's process, p95", slow, "s", PROCESS_S),
    ]  # fmt: skip
    for name, times in (("Terraform's", build), ("a notebook's", application)):
        slow = percentile(times, 0.95)
        what = f"Line of {name} log written to received, {readers} readers, p95"
        found.append(limited("start", what, slow, "s", LINE_S))
    return found


def _click(portal: Portal, token: str, key: str) -> float:
    """Seconds from the request to the start of the change's first Terraform command."""
    clicked = time.time()
    status, answer = portal.call("POST", f"/api/v1/environments/{key}/refresh/", token)
    if status != 200:
        raise RuntimeError(f"the check was answered with {status}: {answer}")
    change = answer["active_change"]
    with psycopg.connect(portal.database_url, autocommit=True) as connection:
        while True:
            row = connection.execute("SELECT status FROM provisioning_change WHERE id = %s", (change,)).fetchone()
            if row and row[0] in ("applied", "failed", "cancelled"):
                break
            time.sleep(0.05)
        first = "SELECT extract(epoch FROM min(started_at)) FROM provisioning_commandrecord WHERE change_id = %s"
        began = connection.execute(first, (change,)).fetchone()
    if not began or began[0] is None:
        raise RuntimeError("the check ended without a command")
    return float(began[0]) - clicked


def _application_lines(portal: Portal, key: str, count: int) -> None:
    """Write into the notebook's log as its supervisor does, at uneven moments."""
    (log,) = (portal.data / "agent" / "logs" / key).glob("*.log")
    for number in range(count):
        with log.open("a") as file:
            file.write(f"{MARK} {time.time():.4f}\n")
        time.sleep(0.11 + 0.07 * (number % 5))


class Readers:
    """Open pages: streams of one environment's events, each in the order in which the portal sends them.

    `build` and `application` are seconds from a line's writing to its arrival, for every line and reader.
    """

    def __init__(self, portal: Portal, key: str, cookie: str, count: int) -> None:
        self.portal = portal
        self.key = key
        self.cookie = cookie
        self.count = count
        self.build: list[float] = []
        self.application: list[float] = []
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._run)
        self._connected = 0

    def __enter__(self) -> Readers:
        self._thread.start()
        deadline = time.monotonic() + 20
        while self._connected < self.count:
            if time.monotonic() > deadline:
                self.__exit__()
                raise TimeoutError(f"only {self._connected} of {self.count} readers are connected")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._tasks_cancel)
        self._thread.join(10)

    def _tasks_cancel(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError), contextlib.closing(self._loop):
            self._loop.run_until_complete(self._read_all())

    async def _read_all(self) -> None:
        await asyncio.gather(*(self._read() for _ in range(self.count)))

    async def _read(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.portal.port, limit=2**22)
        head = f"GET /events/?topics=environment:{self.key} HTTP/1.1\r\nHost: {self.portal.host}\r\n"
        writer.write(f"{head}Cookie: {self.cookie}\r\nAccept: text/event-stream\r\n\r\n".encode())
        try:
            status = await reader.readline()
            if b" 200 " not in status:
                raise RuntimeError(f"the stream was answered with {status!r}")
            self._connected += 1
            async for line in reader:
                if line.startswith(b"data: "):
                    self._take(json.loads(line[6:]), time.time())
        finally:
            writer.close()

    def _take(self, event: dict[str, Any], now: float) -> None:
        if event["kind"] == "log":
            for stream, seconds in delays(event["data"], now):
                (self.build if stream == "build" else self.application).append(seconds)


def delays(data: dict[str, Any], now: float) -> Iterator[tuple[str, float]]:
    """(stream, seconds since it was written) of each line that says when that was."""
    for line in data.get("lines", []):
        if data["stream"] == "build":
            yield "build", now - datetime.fromisoformat(line["at"]).timestamp()
        elif MARK in line["text"]:
            yield "application", now - float(line["text"].rsplit(" ", 1)[1])
