"""What was just written at MLflow, left in sets of Valkey for the indexer and the registry's sentinel to look at.

Hints only: one that is lost costs time, never truth, because everything is also found by walking. The `/mlflow/` route
leaves one for each write without waiting for Valkey; what the portal itself changes leaves one as well.
"""

import asyncio
import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

from apps.experiments.mlflow_rules import Kind, Reference

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.2
ANSWER_SECONDS = 0.5
MOST = 10_000  # kept while Valkey does not answer, and in each set
KINDS = (Kind.EXPERIMENT, Kind.RUN, Kind.REGISTERED_MODEL)


def leave(kind: Kind, ids: Iterable[str]) -> None:
    """From synchronous code; half a second at most, and silent where Valkey is away."""
    wanted = list(ids)
    if not wanted:
        return
    try:
        client().sadd(_key(kind), *wanted)
    except (redis.RedisError, OSError) as error:
        log.warning("hints are lost (%s)", type(error).__name__)


def take(kind: Kind, most: int = 500) -> list[str]:
    """Some of the hints, which are not kept; leave them again where nothing came of it."""
    try:
        found = client().spop(_key(kind), most)
    except (redis.RedisError, OSError) as error:
        log.warning("hints are not read (%s)", type(error).__name__)
        return []
    return [each.decode() for each in found or ()]  # type: ignore[union-attr]


def waiting(kind: Kind) -> int:
    """How many there are."""
    try:
        return int(client().scard(_key(kind)))  # type: ignore[arg-type]
    except (redis.RedisError, OSError):
        return 0


class Hints:
    """For an event loop: `touched` returns at once, what it was given is sent on with what else comes meanwhile."""

    def __init__(self) -> None:
        self._pending: set[Reference] = set()
        self._task: asyncio.Task[None] | None = None
        self._client: redis.asyncio.Redis | None = None

    def touched(self, references: Iterable[Reference]) -> None:
        if len(self._pending) < MOST:
            self._pending.update(reference for reference in references if reference.kind in KINDS)
        if self._pending and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._flush())

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _flush(self) -> None:
        while self._pending:
            await asyncio.sleep(FLUSH_SECONDS)
            batch, self._pending = self._pending, set()
            try:
                if self._client is None:
                    self._client = redis.asyncio.Redis.from_url(address(), **OPTIONS)
                async with self._client.pipeline(transaction=False) as pipeline:
                    for kind in {reference.kind for reference in batch}:
                        pipeline.sadd(_key(kind), *(each.value for each in batch if each.kind is kind))
                    await pipeline.execute()
            except (redis.RedisError, OSError) as error:
                log.warning("hints are lost (%s)", type(error).__name__)


OPTIONS: dict[str, Any] = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}


@lru_cache(maxsize=1)
def client() -> redis.Redis:
    return redis.Redis.from_url(address(), **OPTIONS)


def address() -> str:
    return str(settings.CACHES["default"]["LOCATION"])


def _key(kind: Kind) -> str:
    return f"{settings.CACHES['default']['KEY_PREFIX']}:hints:{kind.name.lower()}"
