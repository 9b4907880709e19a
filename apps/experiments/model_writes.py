"""Who wrote what to the aliases of a registered model through `/mlflow/`: MLflow itself names nobody.

A list in Valkey for each model. The route adds a line before it passes a call on and another before the client hears
the answer. So the order of the list says which of two calls came first, without anybody's clock, and a call without
its second line is under way. As in `hints`, what is lost costs a name, never truth.
"""

import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import redis
import redis.asyncio
from django.conf import settings

from apps.core.proxying import Message, Send
from apps.experiments.hints import OPTIONS, address, client
from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_rules import Call, Kind

log = logging.getLogger(__name__)

KEPT_SECONDS = 600
UNDER_WAY_SECONDS = 30
MOST = 2_000  # lines of one model
ALIAS_LENGTH = 255  # MLflow's own limit


class Does(StrEnum):
    """What a call does to aliases: to one of them, to those of a version, to all of the model (gone or renamed)."""

    ALIAS = "alias"
    VERSION = "version"
    MODEL = "model"


class Outcome(StrEnum):
    MADE = "made"
    REFUSED = "refused"
    UNDER_WAY = "under way"
    UNKNOWN = "unknown"  # MLflow broke off, or the portal did: it may have been done


CALLS = {
    ("POST", "/registered-models/alias"): Does.ALIAS,
    ("DELETE", "/registered-models/alias"): Does.ALIAS,
    ("DELETE", "/model-versions/delete"): Does.VERSION,
    ("DELETE", "/registered-models/delete"): Does.MODEL,
    ("POST", "/registered-models/rename"): Does.MODEL,
}


@dataclass(frozen=True)
class ModelWrite:
    """One call. `begun`, `ended` are places in the list, the latter None without an answer; `at` is seconds since 1970.

    `version` is where the alias goes (None: away), or the version that is deleted.
    """

    key: str
    does: Does
    alias: str
    version: int | None
    user: str
    environment: str
    begun: int
    ended: int | None
    at: float
    outcome: Outcome
    lines: tuple[str, ...] = ()

    @property
    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.at, tz=UTC)


class Witness:
    """For an event loop: writes down who makes a call that moves aliases, and what came of it."""

    def __init__(self) -> None:
        self._client: redis.asyncio.Redis | None = None

    @asynccontextmanager
    async def watch(self, principal: MlflowPrincipal, call: Call, send: Send) -> AsyncIterator[Send]:
        """Gives the `send` by which the call is to be answered."""
        name, line = _line(principal, call)
        if not line or not await self._add(name, line):
            yield send
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                outcome = _outcome(message["status"])
                await self._add(name, {"id": line["id"], "outcome": outcome, "at": time.time()})
            await send(message)

        yield watched

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _add(self, name: str, line: dict[str, Any]) -> bool:
        try:
            if self._client is None:
                self._client = redis.asyncio.Redis.from_url(address(), **OPTIONS)
            async with self._client.pipeline(transaction=False) as pipeline:
                pipeline.rpush(_key(name), json.dumps(line))
                pipeline.ltrim(_key(name), -MOST, -1)
                pipeline.expire(_key(name), KEPT_SECONDS)
                await pipeline.execute()
        except (redis.RedisError, OSError) as error:
            log.warning("who wrote to a model is not kept (%s)", type(error).__name__)
            return False
        return True


def writes_read(name: str) -> list[ModelWrite]:
    """What is known of one model's calls, in the order in which they began."""
    try:
        lines = client().lrange(_key(name), 0, -1)
    except (redis.RedisError, OSError) as error:
        log.warning("who wrote to a model is not read (%s)", type(error).__name__)
        return []
    return _understood([line.decode() for line in lines], time.time())  # type: ignore[union-attr]


def writes_forget(name: str, writes: Iterable[ModelWrite]) -> None:
    lines = [line for write in writes for line in write.lines]
    if not lines:
        return
    try:
        with client().pipeline(transaction=False) as pipeline:
            for line in lines:
                pipeline.lrem(_key(name), 1, line)
            pipeline.execute()
    except (redis.RedisError, OSError) as error:
        log.warning("who wrote to a model is not forgotten (%s)", type(error).__name__)


def _line(principal: MlflowPrincipal, call: Call) -> tuple[str, dict[str, Any]]:
    """The model and the first line; empty where the call moves no alias or does not say clearly of which model."""
    data = call.data or {}
    does = next((does for (method, tail), does in CALLS.items() if call.method == method and call.is_(tail)), None)
    names = {reference.value for reference in call.references if reference.kind is Kind.REGISTERED_MODEL}
    name = data.get("name")
    if does is None or not isinstance(name, str) or names != {name}:
        return "", {}
    goes = does is Does.VERSION or call.method == "POST"
    version = _version(data.get("version")) if does is not Does.MODEL and goes else None
    alias = data.get("alias") if does is Does.ALIAS else ""
    if not isinstance(alias, str) or len(alias) > ALIAS_LENGTH or (does is not Does.MODEL and goes and version is None):
        return "", {}
    line = {
        "id": secrets.token_hex(8),
        "does": does,
        "alias": alias,
        "version": version,
        "user": principal.username,
        "environment": principal.environment_id,
        "at": time.time(),
    }
    return name, line


def _version(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _outcome(status: int) -> Outcome:
    if status < 400:
        return Outcome.MADE
    return Outcome.REFUSED if status < 500 else Outcome.UNKNOWN


def _understood(lines: list[str], now: float) -> list[ModelWrite]:
    found: dict[str, ModelWrite] = {}
    for place, raw in enumerate(lines):
        line = json.loads(raw)
        key = line["id"]
        if "outcome" not in line:
            late = abs(now - line["at"]) > UNDER_WAY_SECONDS
            outcome = Outcome.UNKNOWN if late else Outcome.UNDER_WAY
            found[key] = ModelWrite(
                key, Does(line["does"]), line["alias"], line["version"], line["user"], line["environment"],
                place, None, line["at"], outcome, (raw,),
            )  # fmt: skip
        elif (begun := found.get(key)) is not None:
            found[key] = ModelWrite(
                key, begun.does, begun.alias, begun.version, begun.user, begun.environment,
                begun.begun, place, line["at"], Outcome(line["outcome"]), (*begun.lines, raw),
            )  # fmt: skip
    return list(found.values())


def _key(name: str) -> str:
    return f"{settings.CACHES['default']['KEY_PREFIX']}:model-writes:{name}"
