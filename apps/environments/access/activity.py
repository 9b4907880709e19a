"""Who is using which environment: kinds of activity and open WebSockets, told on without slowing anyone down."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from apps.environments.access.contracts import Activity, ActivityCallback

logger = logging.getLogger(__name__)

EVERY_SECONDS = 15


class ActivityLog:
    """Calls the callback at most once in 15 seconds for an environment and a kind, and when the last socket closes."""

    def __init__(self, callback: ActivityCallback | None, *, every_seconds: float = EVERY_SECONDS) -> None:
        self._callback = callback
        self._every = every_seconds
        self._told: dict[tuple[str, Activity], float] = {}
        self._running: set[asyncio.Future[Any]] = set()
        self.open_connections: Counter[str] = Counter()

    def record(self, environment_id: str, kind: Activity, *, at_once: bool = False) -> None:
        if self._callback is None:
            return
        now, key = time.monotonic(), (environment_id, kind)
        if not at_once and now - self._told.get(key, -self._every) < self._every:
            return
        if len(self._told) > 10_000:
            self._told = {known: at for known, at in self._told.items() if now - at < self._every}
        self._told[key] = now
        task = asyncio.ensure_future(self._tell(environment_id, kind))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def opened(self, environment_id: str) -> None:
        self.open_connections[environment_id] += 1
        self.record(environment_id, Activity.CONNECTED)

    def closed(self, environment_id: str) -> None:
        self.open_connections[environment_id] -= 1
        last = self.open_connections[environment_id] <= 0
        if last:
            del self.open_connections[environment_id]
        self.record(environment_id, Activity.DISCONNECTED, at_once=last)

    async def _tell(self, environment_id: str, kind: Activity) -> None:
        assert self._callback is not None
        try:
            outcome = self._callback(environment_id, kind, self.open_connections.get(environment_id, 0))
            if isinstance(outcome, Coroutine):
                await outcome
        except Exception:
            logger.exception("Activity %s of environment %s was not recorded", kind, environment_id)
