"""Runs in any order, page by page without OFFSET: an order is a chain of walks, each along an index if there is one.

By a metric, first come the runs that have a number for it, read from the index of the metrics alone; only when the
page is not full yet the others follow. A cursor names the walk it ended in and the value and id it ended at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.db.models.fields.json import KeyTextTransform

from apps.core.exceptions import InvalidInput
from apps.core.paging import CursorInvalid
from apps.experiments.models import Experiment, Run, RunMetric, RunParam, RunTag

SALT = "experiments.runs"
DEFAULT_ORDERING = "-started_at"
# Column of the table → field of Run; what a text lacks is "", and sorts last as NULL does.
COLUMNS = {
    "started_at": "started_at",
    "ended_at": "ended_at",
    "duration": "duration_ms",
    "core_seconds": "core_seconds",
    "memory_byte_seconds": "memory_byte_seconds",
    "gpu_seconds": "gpu_seconds",
    "name": "name",
    "status": "status",
    "user": "user_name",
    "note": "note",
    "commit": "commit",
    "source": "source_name",
    "experiment": "experiment__name",
    "datasets": "first_dataset",
}
TEXTS = frozenset({"name", "status", "user_name", "note", "commit", "source_name", "experiment__name"})


@dataclass(frozen=True)
class Ordering:
    """`kind` is metrics, params, tags or column; `key` the metric's name, or the column's."""

    kind: str
    key: str
    descending: bool

    def __str__(self) -> str:
        return f"{'-' if self.descending else ''}{self.column}"

    @property
    def column(self) -> str:
        return self.key if self.kind == "column" else f"{self.kind}.{self.key}"


def ordering_read(text: str) -> Ordering:
    """ "-metrics.auc", "params.lr", "duration". Raises `InvalidInput` for what no order goes by."""
    text = text or DEFAULT_ORDERING
    descending, name = text.startswith("-"), text.removeprefix("-")
    kind, _, key = name.partition(".")
    if kind in {"metrics", "params", "tags"} and key and "\0" not in key and _is_text(key):
        return Ordering(kind, key, descending)
    if name in COLUMNS:
        return Ordering("column", name, descending)
    raise InvalidInput(errors={"ordering": [f"Runs cannot be ordered by {name[:60]!r}."]})


def _is_text(key: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in key)


@dataclass(frozen=True)
class Walk:
    """Rows in one order. `value` is what they are ordered by, "" for the id alone; `run` the field that is the run.

    `nulls_last` says how the index is built: value DESC NULLS LAST; else value ASC. Where there is none either does.
    """

    source: QuerySet[Any]
    value: str
    run: str
    descending: bool
    tie_descending: bool
    nulls_last: bool = False

    def read(self, after: tuple[Any, int] | None, *, reverse: bool, limit: int) -> list[tuple[Any, int]]:
        """Up to `limit` (value, run) behind `after`."""
        tie = self.tie_descending != reverse
        orders = [F(self.run).desc() if tie else F(self.run).asc()]
        if self.value:
            orders.insert(0, self._by_value(self.descending != reverse))
        rows = self.source.order_by(*orders)
        if after is not None:
            rows = rows.filter(self._beyond(after, reverse=reverse))
        if not self.value:
            return [(None, pk) for pk in rows.values_list(self.run, flat=True)[:limit]]
        return list(rows.values_list(self.value, self.run)[:limit])

    def _by_value(self, descending: bool) -> OrderBy:
        if not self.nulls_last:
            return F(self.value).desc() if descending else F(self.value).asc()
        return F(self.value).desc(nulls_last=True) if descending else F(self.value).asc(nulls_first=True)

    def _beyond(self, after: tuple[Any, int], *, reverse: bool) -> Q:
        value, run = after
        further = Q(**{f"{self.run}__{'lt' if self.tie_descending != reverse else 'gt'}": run})
        if not self.value:
            return further
        side = "lt" if self.descending != reverse else "gt"
        # The first half is what the index begins at; it says nothing that the second does not.
        return Q(**{f"{self.value}__{side}e": value}) & (
            Q(**{f"{self.value}__{side}": value}) | (Q(**{self.value: value}) & further)
        )


def walks_of(ordering: Ordering, rows: QuerySet[Run], experiment_ids: Sequence[str] | None) -> list[Walk]:
    """The chain for `rows`; `experiment_ids` are those the rows can be of, None for any."""
    if ordering.kind == "column":
        return _column_walks(ordering, rows, experiment_ids)
    if ordering.kind == "metrics":
        numbers = _keyed(RunMetric, ordering.key, rows, experiment_ids).filter(value__isnull=False)
        # In one experiment its own index serves, which is built upwards.
        nulls_last = ordering.descending and not _is_one(experiment_ids)
        tie = ordering.descending or not _is_one(experiment_ids)
        have = RunMetric.objects.filter(key=ordering.key, value__isnull=False)
        return [
            Walk(numbers, "value", "run_id", ordering.descending, tie, nulls_last),
            _rest(rows, have, experiment_ids),
        ]
    model: Any = RunParam if ordering.kind == "params" else RunTag
    keyed = _keyed(model, ordering.key, rows, experiment_ids)
    have = model.objects.filter(key=ordering.key)
    texts = Walk(
        keyed.filter(number__isnull=True) if model is RunParam else keyed,
        "short", "run_id", ordering.descending, ordering.descending,
    )  # fmt: skip
    last = _rest(rows, have, experiment_ids)
    if model is RunTag:
        return [texts, last]
    numbers = keyed.filter(number__isnull=False)
    return [Walk(numbers, "number", "run_id", ordering.descending, ordering.descending), texts, last]


def _is_one(experiment_ids: Sequence[str] | None) -> bool:
    return experiment_ids is not None and len(experiment_ids) == 1


def _scoped(found: QuerySet[Any], experiment_ids: Sequence[str] | None) -> QuerySet[Any]:
    if experiment_ids is None:
        return found
    if _is_one(experiment_ids):
        return found.filter(experiment=experiment_ids[0])
    return found.filter(experiment__in=experiment_ids)


def _keyed(model: Any, key: str, rows: QuerySet[Run], experiment_ids: Sequence[str] | None) -> QuerySet[Any]:
    return _scoped(model.objects.filter(key=key, run__in=rows.values("pk")), experiment_ids)


def _rest(rows: QuerySet[Run], have: QuerySet[Any], experiment_ids: Sequence[str] | None) -> Walk:
    """Those without a value: newest first whatever the direction."""
    lacking = rows.exclude(pk__in=_scoped(have, experiment_ids).values("run_id"))
    return Walk(lacking, "", "pk", descending=True, tie_descending=True)


def _column_walks(ordering: Ordering, rows: QuerySet[Run], experiment_ids: Sequence[str] | None) -> list[Walk]:
    field = COLUMNS[ordering.key]
    if field == "first_dataset":
        rows = rows.annotate(first_dataset=KeyTextTransform("name", KeyTextTransform(0, "datasets")))
    lacks = Q(**{field: ""}) if field in TEXTS else Q(**{f"{field}__isnull": True})
    indexed = field == "started_at"
    walk = Walk(rows.exclude(lacks), field, "pk", ordering.descending, ordering.descending, nulls_last=indexed)
    if field in {"status", "experiment__name"}:  # Never empty.
        return [Walk(rows, field, "pk", ordering.descending, ordering.descending)]
    return [walk, Walk(rows.filter(lacks), "", "pk", descending=True, tie_descending=True)]


@dataclass(frozen=True)
class Place:
    """Where a page begins: behind `value` and `run` of walk `walk`, forwards or backwards."""

    walk: int
    value: Any
    run: int
    reverse: bool


@dataclass(frozen=True)
class Leg:
    """One run of a walk: which walk, the value it stands there with, the run."""

    walk: int
    value: Any
    run: int


def place_write(ordering: str, leg: Leg, *, reverse: bool) -> str:
    value = leg.value.isoformat() if isinstance(leg.value, datetime) else leg.value
    return signing.dumps([ordering, leg.walk, value, leg.run, int(reverse)], salt=SALT, compress=True)


def place_read(cursor: str, ordering: str, walks: int) -> Place | None:
    """Raises `CursorInvalid` for a cursor of another order or not made here; None for no cursor."""
    if not cursor:
        return None
    try:
        name, walk, value, run, reverse = signing.loads(cursor[:6000], salt=SALT)
    except (signing.BadSignature, ValueError, UnicodeError):
        raise CursorInvalid from None
    if name != ordering or not 0 <= walk < walks:
        raise CursorInvalid("The cursor belongs to a list in another order; begin with the first page")
    return Place(walk, value, run, bool(reverse))


def legs_read(walks: Sequence[Walk], place: Place | None, limit: int) -> list[Leg]:
    """Up to `limit` legs from `place` on, from walk to walk; backwards, and so ordered, where the place says so."""
    reverse = place is not None and place.reverse
    numbers = range(len(walks))
    order = reversed(numbers) if reverse else numbers
    found: list[Leg] = []
    for number in order:
        if place is not None and (number > place.walk if reverse else number < place.walk):
            continue
        after = (place.value, place.run) if place is not None and number == place.walk else None
        read = walks[number].read(after, reverse=reverse, limit=limit - len(found))
        found += [Leg(number, value, run) for value, run in read]
        if len(found) >= limit:
            break
    return found


def experiment_ids_of(rows: QuerySet[Experiment]) -> list[str]:
    return list(rows.order_by().values_list("pk", flat=True))
