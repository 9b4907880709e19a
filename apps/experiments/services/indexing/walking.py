"""Walking over all runs of some experiments, newest first, a page at a time, with the place kept as JSON in a row.

MLflow's page tokens are offsets, which shift as runs come. So the walk goes by start time: the next page is of runs
that started no later than the last one seen. Only where a whole page started in one millisecond, an offset is used.
MLflow sorts whatever a filter leaves for every page, so each page also has a lower bound, twice as far back as the
last page reached: of 100,000 runs that is the difference between 0.2 s and 0.02 s of PostgreSQL's time.
Of several workspaces one is walked after another, in the order of their names.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from apps.experiments.gateway import AnswerTooLarge
from apps.experiments.gateway.runs import RunJson, runs_search
from apps.experiments.gateway.workspaces import experiments_by_workspace

PAGE = 1000
MOST_BYTES = 24 * 1024 * 1024
LEAST_SPAN, WIDENED = 60_000, 4


@dataclass(frozen=True)
class Place:
    """`before` is a start time in milliseconds (None at the beginning), `token` an offset among runs up to it.

    `span` is how far back from `before` the page may reach; None is without end. `workspace` is "" at a server that has
    none, and at the beginning.
    """

    before: int | None = None
    token: str = ""
    size: int = PAGE
    span: int | None = None
    workspace: str = ""

    @classmethod
    def of(cls, data: dict[str, Any]) -> "Place":
        return cls(**{each.name: data[each.name] for each in fields(cls) if each.name in data})

    @property
    def data(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def floor(self) -> int | None:
        """The earliest start that the page may have; what has no start at all counts as begun in 1970."""
        if self.before is None or self.span is None or self.before <= self.span:
            return None
        return self.before - self.span


@dataclass(frozen=True)
class Step:
    """One page of a walk. `next` is None after the last. `latest` and `earliest` are the start times it is all of.

    `experiment_ids` are those it is of, and `ends` is whether nothing older of these is left.
    """

    runs: list[RunJson]
    next: Place | None
    latest: int | None
    earliest: int | None
    experiment_ids: Sequence[str] = ()
    ends: bool = False


def walk_step(*, experiment_ids: Sequence[str], place: Place) -> Step:
    """Read a page; where its runs hold very much, one of fewer."""
    by_workspace = experiments_by_workspace(experiment_ids)
    left = sorted(workspace for workspace in by_workspace if workspace >= place.workspace)
    if not left:
        return Step([], None, latest=None, earliest=None, ends=True)
    together = by_workspace[left[0]]
    place = place if place.workspace == left[0] else Place(workspace=left[0])
    step = _page(together, place)
    following = step.next or (Place(workspace=left[1]) if left[1:] else None)
    return replace(step, next=following, experiment_ids=together, ends=step.next is None)


def _page(experiment_ids: Sequence[str], place: Place) -> Step:
    while True:
        try:
            return _step(experiment_ids, place)
        except AnswerTooLarge:
            place = replace(place, size=max(1, place.size // 8))


def _step(experiment_ids: Sequence[str], place: Place) -> Step:
    page = runs_search(
        experiment_ids=experiment_ids,
        filter=_filter(place),
        max_results=place.size,
        page_token=place.token,
        most_bytes=MOST_BYTES if place.size > 1 else None,
    )
    latest = _started(page.runs[0]) if place.token and page.runs else place.before
    if not page.next_token:
        return Step(page.runs, _further_back(place), latest=latest, earliest=place.floor)
    earliest = _started(page.runs[-1])
    if earliest > 0 and (place.before is None or earliest < place.before):
        reached = (place.before or _started(page.runs[0])) - earliest
        size = min(PAGE, place.size * 2)
        span = max(LEAST_SPAN, 2 * reached * size // place.size)
        following = Place(before=earliest, size=size, span=span, workspace=place.workspace)
    else:
        # All in one millisecond, or without a start: on by offset, with pages of the same size as before.
        following = replace(place, token=page.next_token)
    return Step(page.runs, following, latest=latest, earliest=earliest)


def _further_back(place: Place) -> Place | None:
    """After everything down to the floor; None where the page had none."""
    if place.floor is None or place.span is None:
        return None
    size, span = min(PAGE, place.size * 2), place.span * WIDENED
    return Place(before=place.floor, size=size, span=span, workspace=place.workspace)


def _filter(place: Place) -> str:
    bounds = [] if place.before is None else [f"attributes.start_time <= {place.before}"]
    if place.floor is not None:
        bounds.append(f"attributes.start_time >= {place.floor}")
    return " AND ".join(bounds)


def _started(run: RunJson) -> int:
    return int(run["info"].get("start_time") or 0)
