"""Who works on the index: one at a time, for as long as it says so.

`TrackerIndex.working_until` is the claim and, being exact to the microsecond, also its token: whoever finds another
value there has lost it. A worker that is killed holds nothing for longer than `SECONDS`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from apps.core.clock import database_now
from apps.experiments.models import TrackerIndex

SECONDS = 40  # longer than the slowest call of MLflow


class HoldLost(Exception):
    """Somebody else works on the index now; what we were about to write is theirs to write."""


class Hold:
    """The claim of one worker; `keep` renews it and writes fields of the row in the same statement."""

    def __init__(self, until: datetime) -> None:
        self._until = until

    def keep(self, **fields: Any) -> None:
        """Raises `HoldLost`."""
        until = max(database_now() + timedelta(seconds=SECONDS), self._until + timedelta(microseconds=1))
        rows = TrackerIndex.objects.filter(pk=1, working_until=self._until)
        if rows.update(working_until=until, **fields) != 1:
            raise HoldLost
        self._until = until

    def release(self) -> None:
        TrackerIndex.objects.filter(pk=1, working_until=self._until).update(working_until=None)

    @property
    def row(self) -> TrackerIndex:
        return TrackerIndex.objects.get(pk=1)


@contextmanager
def index_held() -> Iterator[Hold | None]:
    """None where somebody else holds it."""
    TrackerIndex.objects.bulk_create([TrackerIndex(pk=1)], ignore_conflicts=True)
    now = database_now()
    free = TrackerIndex.objects.filter(Q(working_until=None) | Q(working_until__lt=now), pk=1)
    until = now + timedelta(seconds=SECONDS)
    if free.update(working_until=until) != 1:
        yield None
        return
    hold = Hold(until)
    try:
        yield hold
    finally:
        hold.release()
