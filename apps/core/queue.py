"""Enqueue by name, after commit: services never import tasks, and a rolled-back write wakes nobody."""

import logging
import time
from functools import lru_cache

from celery import current_app
from django.db import transaction
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.pools import ProducerPool

log = logging.getLogger(__name__)

# A click waits for the broker no longer than this; what is not sent by then is found again from the rows.
PATIENCE_S = 0.5
# After a failure nobody waits again for so long: a page that enqueues five times is not five times as slow.
REST_S = 2.0
# A connection that a restart of the broker has cut is only noticed when it is used.
ONCE_MORE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}


class Rest:
    """Until when (of the monotonic clock) this process does not ask the broker."""

    until = 0.0


def enqueue(task: str, *args: str | int) -> None:
    """Wake a worker for `task` once the surrounding transaction commits.

    A broker that is down or hangs loses the message, not the work, and holds up the request for half a second at most:
    beat and the agents find the work again from the rows.
    """
    transaction.on_commit(lambda: _send(task, args))


def _send(task: str, args: tuple[str | int, ...]) -> None:
    if time.monotonic() < Rest.until:
        return
    try:
        with _producers().acquire(block=True, timeout=PATIENCE_S) as producer:
            current_app.send_task(task, args=args, producer=producer, retry=True, retry_policy=ONCE_MORE)
    except (OperationalError, OSError) as error:
        Rest.until = time.monotonic() + REST_S
        log.warning("broker unreachable (%s); %s is found again from the rows", error, task)


@lru_cache(maxsize=1)
def _producers() -> ProducerPool:
    """Connections of our own: a worker's must wait for messages for long, these must never wait."""
    connection: Connection = current_app.connection_for_write(
        connect_timeout=PATIENCE_S,
        transport_options={
            **ONCE_MORE,
            "connect_retries_timeout": PATIENCE_S,
            "socket_connect_timeout": PATIENCE_S,
            "socket_timeout": PATIENCE_S,
            "retry_on_timeout": False,
        },
    )
    return ProducerPool(connection.Pool(limit=8), limit=8)
