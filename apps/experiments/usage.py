"""What runs used of their environment: what was metered while they ran, shared between those that overlapped.

At every moment what an environment holds is divided evenly among the runs that count. A run with children counts only
while none of them runs: a search that waits for its trials uses nothing itself. So the shares of all runs of an
environment add up to what was metered in the time in which at least one of them ran; `allocate` holds to that for any
rates, those of money too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.utils import timezone

from apps.experiments.models import Experiment, Run
from apps.metering.models import ResourceInterval
from apps.metering.selectors import resources_used

Values = tuple[float, ...]


@dataclass(frozen=True)
class Use:
    """Cores times seconds, bytes times seconds, GPUs times seconds."""

    core_seconds: float = 0.0
    memory_byte_seconds: float = 0.0
    gpu_seconds: float = 0.0

    @property
    def memory_gib_hours(self) -> float:
        return self.memory_byte_seconds / 2**30 / 3600


@dataclass(frozen=True)
class ExperimentUse:
    """The sum over the runs of an experiment of which it is known (`counted`), and what failed ones had of it."""

    total: Use
    failed: Use
    counted: int

    @property
    def failed_share(self) -> float | None:
        """0 to 1, of GPUs where any were used, else of cores; None where nothing was used."""
        for name in ("gpu_seconds", "core_seconds"):
            if total := getattr(self.total, name):
                return float(getattr(self.failed, name) / total)
        return None


@dataclass(frozen=True)
class Span:
    """The time of a run, in seconds of any clock."""

    key: str
    start: float
    end: float
    parent: str = ""

    @property
    def rank(self) -> tuple[float, str]:
        return self.start, self.key


@dataclass(frozen=True)
class Rate:
    """What is used up each second from `start` to `end`, in as many kinds as the caller counts."""

    start: float
    end: float
    values: Values


def allocate(spans: Iterable[Span], rates: Iterable[Rate], *, kinds: int) -> dict[str, Values]:
    """The share of every span, by key. Keys are unique; a span or rate that ends before it begins is empty.

    One pass over all starts and ends: `reached` is what a span that counted all the time would have by now. A span's
    share is how far that moved while it counted.
    """
    lasting = {span.key: span for span in spans if span.end > span.start}
    parents = {key: _parent(span, lasting) for key, span in lasting.items()}
    shares: dict[str, list[float]] = {key: [0.0] * kinds for key in lasting}
    children = dict.fromkeys(lasting, 0)  # that run just now
    running: set[str] = set()
    counting: dict[str, list[float]] = {}  # where `reached` was when each began to count
    flowing: dict[int, Values] = {}
    reached, flow, before = [0.0] * kinds, [0.0] * kinds, 0.0

    def recount(key: str) -> None:
        counts = key in running and not children[key]
        if counts and key not in counting:
            counting[key] = list(reached)
        elif not counts and key in counting:
            since = counting.pop(key)
            for kind in range(kinds):
                shares[key][kind] += reached[kind] - since[kind]

    for moment, begins, key, number, values in _events(lasting, rates):
        if counting and moment > before:
            for kind in range(kinds):
                reached[kind] += flow[kind] * (moment - before) / len(counting)
        before = moment
        if values is not None:
            if begins:
                flowing[number] = values
            else:
                del flowing[number]
            flow = [sum(each[kind] for each in flowing.values()) for kind in range(kinds)]
            continue
        (running.add if begins else running.discard)(key)
        recount(key)
        if (parent := parents[key]) is not None:
            children[parent] += 1 if begins else -1
            recount(parent)
    return {key: tuple(share) for key, share in shares.items()}


def _parent(span: Span, spans: dict[str, Span]) -> str | None:
    """The parent that stands back for this span. Whoever began later never does: so no circle lets nobody count."""
    parent = spans.get(span.parent)
    return parent.key if parent is not None and parent.rank < span.rank else None


def _events(spans: dict[str, Span], rates: Iterable[Rate]) -> Iterator[tuple[float, bool, str, int, Values | None]]:
    """(moment, begins, key of a span, number of a rate, its values), ends before beginnings of the same moment."""
    events: list[tuple[float, bool, str, int, Values | None]] = []
    for span in spans.values():
        events += [(span.start, True, span.key, 0, None), (span.end, False, span.key, 0, None)]
    for number, rate in enumerate(rates):
        if rate.end > rate.start:
            events += [(rate.start, True, "", number, rate.values), (rate.end, False, "", number, rate.values)]
    return iter(sorted(events, key=lambda event: event[:2]))


def use_of_run(run: Run) -> Use | None:
    """As last counted; None where its environment is not known or was not metered."""
    if run.core_seconds is None:
        return None
    return Use(run.core_seconds, run.memory_byte_seconds or 0.0, run.gpu_seconds or 0.0)


def use_of_experiment(experiment: Experiment) -> ExperimentUse | None:
    """None where nothing is known of any of its runs."""
    return use_of_experiments([experiment.pk]).get(experiment.pk)


def use_of_experiments(experiment_ids: Sequence[str]) -> dict[str, ExperimentUse]:
    """Sums by experiment, of those of whose runs anything is known; archived runs have used what they used."""
    names = ("core_seconds", "memory_byte_seconds", "gpu_seconds")
    failed = Q(status__in=(Run.Status.FAILED, Run.Status.KILLED))
    sums: dict[str, Any] = {f"all_{name}": Sum(name) for name in names}
    sums |= {f"failed_{name}": Sum(name, filter=failed) for name in names}
    rows = Run.objects.filter(experiment__in=experiment_ids).exclude(core_seconds=None).order_by()
    found = {}
    summed: Any = rows.values("experiment").annotate(counted=Count("pk"), **sums)
    for row in summed:
        total = Use(*(row[f"all_{name}"] or 0.0 for name in names))
        lost = Use(*(row[f"failed_{name}"] or 0.0 for name in names))
        found[row["experiment"]] = ExperimentUse(total, lost, row["counted"])
    return found


def use_by_run(
    *, environment_id: UUID, start: datetime, end: datetime, now: datetime | None = None
) -> dict[str, Use] | None:
    """What each run of an environment used in [start, end), by run id; None where the environment was not metered.

    Runs that none of the window's use belongs to are in it with zeros.
    """
    now = now or timezone.now()
    rates = metered_rates(environment_id=environment_id, start=start, end=min(end, now))
    if not rates and not ResourceInterval.objects.filter(workspace_id=environment_id).exists():
        return None
    spans = run_spans(environment_id=environment_id, start=start, end=min(end, now), rates=rates)
    return {key: Use(*values) for key, values in allocate(spans, rates, kinds=3).items()} | {
        span.key: Use() for span in spans if span.end <= span.start
    }


def metered_rates(*, environment_id: UUID, start: datetime, end: datetime) -> list[Rate]:
    """Cores, bytes of memory and GPUs that the environment held, as far as each was seen to exist."""
    found = []
    for used in resources_used(workspace_id=environment_id, start=start, end=end):
        row = used.interval
        if row.state != ResourceInterval.State.STOPPED:
            values = (float(row.cpu_cores or 0), float(row.memory_bytes or 0), float(row.gpu_count))
            if any(values):
                found.append(Rate(used.start.timestamp(), used.end.timestamp(), values))
    return found


def run_spans(*, environment_id: UUID, start: datetime, end: datetime, rates: Sequence[Rate]) -> list[Span]:
    """The runs of an environment that have a moment in the window.

    One that MLflow says still runs ends, at the latest, where the environment next held nothing after it began: its
    process did not outlive that.
    """
    rows = Run.objects.filter(environment_id=environment_id, started_at__lt=end)
    rows = rows.filter(Q(ended_at=None) | Q(ended_at__gt=start)).order_by("started_at", "id")
    said: Any = rows.values_list("run_id", "parent_run_id", "status", "started_at", "ended_at")
    blocks = _blocks(rates)
    low, high = start.timestamp(), end.timestamp()
    found = []
    for run_id, parent, status, began, ended in said:
        first = began.timestamp()
        last = ended.timestamp() if ended else high
        if status in Run.ACTIVE:
            inside = max(first, low)
            last = next((until for since, until in blocks if since <= inside < until), inside)
        found.append(Span(run_id, first, last, parent))
    return found


def _blocks(rates: Sequence[Rate]) -> list[tuple[float, float]]:
    """The times in which anything was held, without a break in them."""
    blocks: list[tuple[float, float]] = []
    for rate in sorted(rates, key=lambda each: each.start):
        if blocks and rate.start <= blocks[-1][1]:
            blocks[-1] = (blocks[-1][0], max(blocks[-1][1], rate.end))
        else:
            blocks.append((rate.start, rate.end))
    return blocks
