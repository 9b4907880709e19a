"""Enqueue by name, after commit: services never import tasks, and a rolled-back write wakes nobody."""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)


def enqueue(task: str, *args: str | int) -> None:
    """Wake a worker for `task` once the surrounding transaction commits.

    A broker that is down loses the message, not the work: beat finds it again from the rows.
    """

    def send() -> None:
        try:
            current_app.send_task(task, args=args, retry=False)
        except OperationalError:
            log.warning("broker unreachable; %s waits for beat", task)

    transaction.on_commit(send)
