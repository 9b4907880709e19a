"""Whether the portal can do its work: each part registers a check, `/readyz` asks them all.

A check returns a short text about a part that works and raises :class:`Unhealthy` (or anything else) when it does not.
Texts are public, so they name no host, user or path; the log says more.
"""

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import connection

from apps.core.ciphers import keys_lost, lost_words
from apps.core.crypto import decrypt, encrypt, keys_known

log = logging.getLogger(__name__)

WORKER_HEARTBEAT = "core:worker-heartbeat"
WORKER_SILENCE_SECONDS = 45
MLFLOW_SECONDS = 2
BROKER_SECONDS = 2
KEYS_SECONDS = 60


class Unhealthy(Exception):
    """A part does not work; the text says what is missing, for everybody to read."""


@dataclass(frozen=True)
class Check:
    name: str
    ask: Callable[[], str]
    required: bool


@dataclass(frozen=True)
class State:
    name: str
    state: str
    detail: str
    required: bool
    milliseconds: int

    @property
    def is_up(self) -> bool:
        return self.state == "up"


_checks: dict[str, Check] = {}
# For the keys that were known: when the database was asked, and what was missing.
_keys_seen: dict[tuple[str, ...], tuple[float, str]] = {}


def register_check(name: str, ask: Callable[[], str], *, required: bool = True) -> None:
    """Add a part to `/readyz`; when a required one is down, the answer is 503."""
    _checks[name] = Check(name, ask, required)


def states() -> list[State]:
    """The state of every part, in the order of registration."""
    return [_state(check) for check in _checks.values()]


def _state(check: Check) -> State:
    started = time.monotonic()
    try:
        state, detail = "up", check.ask()
    except Unhealthy as reason:
        state, detail = "down", str(reason)
    except Exception as error:
        log.warning("%s is not healthy: %s", check.name, error)
        state, detail = "down", "does not answer"
    return State(check.name, state, detail, check.required, round((time.monotonic() - started) * 1000))


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return "answers"


def _broker() -> str:
    with current_app.connection_for_write(connect_timeout=BROKER_SECONDS) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
        broker.default_channel.client.ping()
    return "answers"


def _keys() -> str:
    """Whether every stored value's key is known; asked of the database again after a minute, or when keys change."""
    decrypt(encrypt(b"ready"))
    known = tuple(keys_known().by_id)
    at, missing = _keys_seen.get(known, (-math.inf, ""))
    if time.monotonic() - at > KEYS_SECONDS:
        missing = lost_words(keys_lost())
        _keys_seen.clear()
        _keys_seen[known] = (time.monotonic(), missing)
    if missing:
        raise Unhealthy(f"{missing}; put it back into SLIPWAY_KEYS or its file")
    return f"encrypt and decrypt with key {known[0]}"


def mlflow_ask() -> str:
    """Whether the MLflow server answers; raises `Unhealthy`."""
    # The embedded server answers this path to everybody; one of your own may want its token.
    token = settings.MLFLOW_SERVER_TOKEN
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(f"{settings.MLFLOW_TRACKING_URI}/health", headers=headers)  # noqa: S310 - http(s) by setting
    try:
        with urlopen(request, timeout=MLFLOW_SECONDS) as answer:  # noqa: S310
            answer.read(100)
    except HTTPError as error:
        raise Unhealthy(f"answers {error.code}") from None
    except (URLError, OSError) as error:
        raise Unhealthy("does not answer") from error
    return "answers"


def heartbeat_write() -> None:
    """Called by a worker, woken by beat: so both are known to live."""
    cache.set(WORKER_HEARTBEAT, json.dumps({"at": time.time()}), timeout=24 * 3600)


def _worker() -> str:
    raw = cache.get(WORKER_HEARTBEAT)
    if raw is None:
        raise Unhealthy("no worker has answered beat yet")
    age = max(0.0, time.time() - json.loads(raw)["at"])
    if age > WORKER_SILENCE_SECONDS:
        raise Unhealthy(f"last heard of {age:.0f} s ago; is a worker running, and beat?")
    return f"heard of {age:.0f} s ago"


register_check("database", _database)
register_check("broker", _broker)
register_check("keys", _keys)
register_check("mlflow", mlflow_ask, required=False)
register_check("worker", _worker)
