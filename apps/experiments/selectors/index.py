"""The state of the index, for those who keep the portal."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from apps.core.clock import database_now
from apps.core.metrics import Samples
from apps.experiments import hints
from apps.experiments.mlflow_rules import Kind
from apps.experiments.models import Experiment, Run, TrackerIndex
from apps.experiments.selectors.freshness import Freshness, freshness


@dataclass(frozen=True)
class IndexState:
    """Counts are of rows; `import_seconds` is what the last whole import took, or the present one so far."""

    row: TrackerIndex
    freshness: Freshness
    runs: int
    active: int
    experiments: int
    without_team: int
    import_seconds: float | None
    walked_until: datetime | None
    walked_seconds: float | None
    hints: int


def index_state() -> IndexState:
    row = TrackerIndex.objects.filter(pk=1).first() or TrackerIndex()
    fresh = freshness()
    began, place = row.import_started_at, row.reconcile_place or {}
    ended = row.imported_at or database_now()
    walk, walk_began = place.get("walk") or {}, place.get("began") or 0
    before = walk.get("before")
    return IndexState(
        row=row,
        freshness=fresh,
        runs=Run.objects.count(),
        active=Run.objects.filter(status__in=Run.ACTIVE).count(),
        experiments=Experiment.objects.count(),
        without_team=Experiment.objects.kept().filter(team=None).count(),
        import_seconds=(ended - began).total_seconds() if began else None,
        walked_until=datetime.fromtimestamp(before / 1000, UTC) if before and before < 2**42 else None,
        walked_seconds=time.time() - walk_began if walk and walk_began else None,
        hints=hints.waiting(Kind.RUN) + hints.waiting(Kind.EXPERIMENT),
    )


def index_age() -> Samples:
    age = freshness().age_seconds
    return [] if age is None else [((), age)]


def index_size() -> Samples:
    """As the last walk over all runs counted them: counting takes too long for a gauge."""
    return [((), float(row.runs_read)) for row in TrackerIndex.objects.filter(pk=1)]
