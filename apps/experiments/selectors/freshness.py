"""How true the index is just now: said above every list that is made of it."""

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

_READ = """
    SELECT read_at, away_since, imported_at, runs_read, runs_expected, statement_timestamp()
    FROM experiments_trackerindex WHERE id = 1
"""


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
    with connection.cursor() as cursor:  # Every list asks; the ORM takes longer to say it than PostgreSQL to answer.
        cursor.execute(_READ)
        row = cursor.fetchone()
    if row is None:
        return Freshness(None, None, None, importing=True, runs_read=0, runs_expected=None)
    read_at, away_since, imported_at, runs_read, runs_expected, now = row
    return Freshness(
        read_at=read_at,
        age_seconds=max(0.0, (now - read_at).total_seconds()) if read_at else None,
        away_since=away_since,
        importing=imported_at is None,
        runs_read=runs_read,
        runs_expected=runs_expected,
    )
