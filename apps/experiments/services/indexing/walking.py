"""Walking over all runs of some experiments, newest first, a page at a time, with the place kept as JSON in a row.

MLflow's page tokens are offsets, which shift as runs come. So the walk goes by start time: the next page is of runs
that started no later than the last one seen. Only where a whole page started in one millisecond, an offset is used.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from apps.experiments.gateway import AnswerTooLarge
from apps.experiments.gateway.runs import RunJson, runs_search

PAGE = 1000
MOST_BYTES = 24 * 1024 * 1024


@dataclass(frozen=True)
class Place:
    """`before` is a start time in milliseconds (None at the beginning), `token` an offset among runs up to it."""

    before: int | None = None
    token: str = ""
    size: int = PAGE

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Place":
        return cls(**{key: data[key] for key in ("before", "token", "size") if key in data})

    @property
    def data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Step:
    """One page of a walk. `next` is None after the last. `latest` and `earliest` are the start times it is all of."""

    runs: list[RunJson]
    next: Place | None
    latest: int | None
    earliest: int | None


def walk_step(*, experiment_ids: Sequence[str], place: Place) -> Step:
    """Read a page; where its runs hold very much, one of fewer."""
    while True:
        try:
            return _step(experiment_ids, place)
        except AnswerTooLarge:
            place = replace(place, size=max(1, place.size // 8))


def _step(experiment_ids: Sequence[str], place: Place) -> Step:
    page = runs_search(
        experiment_ids=experiment_ids,
        filter="" if place.before is None else f"attributes.start_time <= {place.before}",
        max_results=place.size,
        page_token=place.token,
        most_bytes=MOST_BYTES if place.size > 1 else None,
    )
    size = min(PAGE, place.size * 2)
    earliest = _started(page.runs[-1]) if page.runs else None
    if not page.next_token:
        following = None
    elif earliest is not None and (place.before is None or earliest < place.before) and earliest > 0:
        following = Place(before=earliest, size=size)
    else:
        # All in one millisecond, or without a start: on by offset, with pages of the same size as before.
        following = Place(before=place.before, token=page.next_token, size=place.size)
    latest = _started(page.runs[0]) if place.token and page.runs else place.before
    return Step(page.runs, following, latest=latest, earliest=earliest)


def _started(run: RunJson) -> int:
    return int(run["info"].get("start_time") or 0)
