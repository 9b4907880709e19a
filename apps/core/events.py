"""`GET /events/`: the live stream of a browser, without a thread or a database connection of its own.

One :class:`LiveHub` a process listens to PostgreSQL's NOTIFY, reads new rows in the order of their ids and hands them
to every stream that may see them. A stream resumes from `Last-Event-ID`, which is a row id.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import psycopg
from psycopg.rows import tuple_row

from apps.core.live import CHANNEL
from apps.core.responses import DATABASE_AWAY

log = logging.getLogger(__name__)

KEEP_ALIVE = 15.0
RECHECK = 30.0
BACKLOG = 2000
GAP_PATIENCE = 0.2
# More than this is not repeated to a browser that was away: it hears "reset" and fetches what it shows.
REPLAY = 5000

# Names for the states of all that one may see; modules have states as well, which nobody asks for in this way.
ALL_OF = {"environment": "environments", "experiment": "experiments"}

Row = tuple[int, str, str, str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Audience:
    """Who listens: the audiences (`team:<id>`, `user:<id>`) a person belongs to, or everything.

    `topics` are heard whoever they are told to: what belongs to a person who has left its team since.
    """

    names: frozenset[str]
    everything: bool = False
    topics: frozenset[str] = frozenset()

    def hears(self, audience: str, topic: str) -> bool:
        if audience in self.names or topic in self.topics:
            return True
        return self.everything and audience.startswith("team:")


@dataclass(eq=False)
class Subscription:
    audience: Audience
    topics: frozenset[str]
    queue: asyncio.Queue[Row | None] = field(default_factory=lambda: asyncio.Queue(BACKLOG))

    def wants(self, row: Row) -> bool:
        _, audience, topic, kind, _ = row
        if not self.audience.hears(audience, topic):
            return False
        if topic in self.topics or topic.startswith("user:"):
            return True
        return kind == "status" and ALL_OF.get(topic.partition(":")[0]) in self.topics


class LiveHub:
    """Reads rows once for all streams of this process."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        self.cursor = 0
        self.subscriptions: set[Subscription] = set()
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._gap: tuple[int, int, float] | None = None

    async def subscribe(self, subscription: Subscription, last_id: int | None) -> list[Row]:
        """Register, and return the rows between `last_id` and where the live feed begins.

        Where they are too many, were pruned, or lie ahead (the database is an older copy), one row of the kind "reset"
        stands for them. Raises `psycopg.Error` or `TimeoutError` while the database is away.
        """
        if self._task is None or self._task.done():
            self._ready.clear()
            self._task = asyncio.create_task(self._run())
        await asyncio.wait_for(self._ready.wait(), 10)
        self.subscriptions.add(subscription)
        begin = self.cursor
        if last_id is None or last_id == begin:
            return []
        reset: Row = (begin, "", "", "reset", {})
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.cursor(row_factory=tuple_row)
            await cursor.execute("SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM core_liveevent")
            oldest, newest = await cursor.fetchone()  # type: ignore[misc]
            if last_id > begin:
                # This process may lag behind the one that made the page; only ids nobody gave are another history.
                return [reset] if last_id > newest else []
            await cursor.execute(SELECT_ROWS + f" AND id <= %s ORDER BY id LIMIT {REPLAY + 1}", (last_id, begin))
            rows = await cursor.fetchall()
        if len(rows) > REPLAY or not oldest or oldest > last_id + 1:
            return [reset]
        return [row for row in rows if subscription.wants(row)]

    def unsubscribe(self, subscription: Subscription) -> None:
        self.subscriptions.discard(subscription)

    async def close(self) -> None:
        for subscription in list(self.subscriptions):
            _offer(subscription, None)
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
                    await self._follow(connection)
            except psycopg.Error as error:
                log.warning("live events wait for the database: %s", type(error).__name__)
                await asyncio.sleep(1)

    async def _follow(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(f"LISTEN {CHANNEL}")
        cursor = connection.cursor(row_factory=tuple_row)
        if not self._ready.is_set():
            # Only once: after an outage the feed goes on where it was, also from the very beginning.
            await cursor.execute("SELECT coalesce(max(id), 0) FROM core_liveevent")
            self.cursor = (await cursor.fetchone())[0]  # type: ignore[index]
        self._ready.set()
        while True:
            await self._read(cursor)
            wait = 0.05 if self._gap else 1.0
            async for _ in connection.notifies(timeout=wait, stop_after=1):
                pass

    async def _read(self, cursor: psycopg.AsyncCursor[Any]) -> None:
        """Deliver what is new, in order.

        A missing id is either a transaction that has yet to commit or one that rolled back. It is waited for until
        every transaction that was open when the gap was seen has ended, or nobody is writing events: who took an id
        holds the table's lock until the end. Then it can never come, however long others in the cluster go on.
        """
        await cursor.execute(SNAPSHOT)
        oldest_open, next_open = await cursor.fetchone()  # type: ignore[misc]
        if self._gap:
            await cursor.execute(NOBODY_WRITES)
            (nobody_writes,) = await cursor.fetchone()  # type: ignore[misc]
            oldest_open = next_open if nobody_writes else oldest_open
        await cursor.execute(SELECT_ROWS + " ORDER BY id LIMIT 1000", (self.cursor,))
        for row in await cursor.fetchall():
            missing = self.cursor + 1
            if row[0] != missing and not self._gap_is_dead(missing, oldest_open, next_open):
                return
            self._gap = None
            self.cursor = row[0]
            self._deliver(row)

    def _gap_is_dead(self, missing: int, oldest_open: int, next_open: int) -> bool:
        now = asyncio.get_running_loop().time()
        if self._gap is None or self._gap[0] != missing:
            self._gap = (missing, next_open, now)
            return False
        _, open_when_seen, seen_at = self._gap
        return oldest_open >= open_when_seen and now - seen_at > GAP_PATIENCE

    def _deliver(self, row: Row) -> None:
        for subscription in list(self.subscriptions):
            if subscription.wants(row):
                _offer(subscription, row)


SNAPSHOT = "SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint FROM pg_current_snapshot() s"
NOBODY_WRITES = """
    SELECT NOT EXISTS (
        SELECT 1 FROM pg_locks
         WHERE relation = 'core_liveevent'::regclass AND mode = 'RowExclusiveLock' AND pid <> pg_backend_pid()
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
SELECT_ROWS = "SELECT id, audience, topic, kind, data FROM core_liveevent WHERE id > %s"


def _offer(subscription: Subscription, row: Row | None) -> None:
    """A stream too slow to follow is ended; the browser comes back with the last id it has."""
    try:
        subscription.queue.put_nowait(row)
    except asyncio.QueueFull:
        while not subscription.queue.empty():
            subscription.queue.get_nowait()
        subscription.queue.put_nowait(None)


class EventStream:
    """ASGI application of the stream. `authenticate(scope)` gives the audience of the session, or None."""

    def __init__(self, hub: LiveHub, authenticate: Callable[[Scope], Awaitable[Audience | None]]) -> None:
        self.hub = hub
        self.authenticate = authenticate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if scope["method"] != "GET" or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return await _refuse(send, 403)
        try:
            audience = await self.authenticate(scope)
        except DATABASE_AWAY:
            return await _refuse(send, 503)
        if audience is None:
            return await _refuse(send, 401)
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        topics = frozenset(",".join(query.get("topics", [""])).split(",")[:200])
        last = headers.get("last-event-id") or (query.get("last") or [""])[0]
        subscription = Subscription(audience, topics)
        try:
            try:
                missed = await self.hub.subscribe(subscription, int(last) if _is_id(last) else None)
            except (psycopg.Error, TimeoutError):
                return await _refuse(send, 503)
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await _write(send, [f"retry: 2000\nid: {self.hub.cursor}\n\n"] if not last else [": resumed\n\n"])
            await _write(send, map(_frame, missed))
            await self._serve(scope, receive, send, subscription)
        finally:
            self.hub.unsubscribe(subscription)

    async def _serve(self, scope: Scope, receive: Receive, send: Send, subscription: Subscription) -> None:
        gone = asyncio.create_task(_disconnected(receive))
        loop = asyncio.get_running_loop()
        recheck_at = loop.time() + RECHECK
        try:
            while not gone.done():
                try:
                    row = await asyncio.wait_for(subscription.queue.get(), KEEP_ALIVE)
                except TimeoutError:
                    await _write(send, [": still here\n\n"])
                else:
                    if row is None:
                        break
                    rows: list[Row | None] = [row]
                    while not subscription.queue.empty() and rows[-1] is not None:
                        rows.append(subscription.queue.get_nowait())
                    await _write(send, [_frame(item) for item in rows if item is not None])
                    if rows[-1] is None:
                        break
                if loop.time() > recheck_at:
                    recheck_at = loop.time() + RECHECK
                    try:
                        audience = await self.authenticate(scope)
                    except DATABASE_AWAY:
                        break
                    if audience is None:
                        break
                    subscription.audience = audience
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            gone.cancel()


HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _frame(row: Row) -> str:
    row_id, _, topic, kind, data = row
    return f"id: {row_id}\ndata: {json.dumps({'topic': topic, 'kind': kind, 'data': data})}\n\n"


async def _write(send: Send, frames: Iterable[str]) -> None:
    body = "".join(frames).encode()
    if body:
        await send({"type": "http.response.body", "body": body, "more_body": True})


async def _refuse(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    body = b"Come back in a moment.\n" if status == 503 else b"Sign in to follow events.\n"
    await send({"type": "http.response.body", "body": body})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
