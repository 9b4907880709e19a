"""How true the index is just now: said above every list that is made of it."""

from dataclasses import dataclass
from datetime import datetime

from apps.core.clock import database_now
from apps.experiments.models import TrackerIndex


@dataclass(frozen=True)
class Freshness:
    """`read_at` is when MLflow last answered a round; `away_since` when it stopped, None while it answers.

    `percent` of the first import is None where nobody knows how many runs there are.
    """

    read_at: datetime | None
    age_seconds: float | None
    away_since: datetime | None
    importing: bool
    runs_read: int
    runs_expected: int | None

    @property
    def percent(self) -> int | None:
        if not self.importing or not self.runs_expected:
            return None
        return min(99, self.runs_read * 100 // self.runs_expected)


def freshness() -> Freshness:
    row = TrackerIndex.objects.filter(pk=1).first() or TrackerIndex()
    age = (database_now() - row.read_at).total_seconds() if row.read_at else None
    return Freshness(
        read_at=row.read_at,
        age_seconds=None if age is None else max(0.0, age),
        away_since=row.away_since,
        importing=row.imported_at is None,
        runs_read=row.runs_read,
        runs_expected=row.runs_expected,
    )
