"""Runs in any order, page by page without OFFSET: an order is a chain of walks, each along an index if there is one.

By a metric, first come the runs that have a number for it, read from the index of the metrics alone; only when the
page is not full yet the others follow. A cursor names the walk it ended in and the value and id it ended at.

One statement does it all: what the filter leaves is found once and held as a list of ids, which is counted, and which
the walks look each run up in. Without a filter nothing is held, and each run met is looked up in the table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core import signing
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import BooleanField, F, Func, Q, QuerySet
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


class InHit(Func):
    """Whether the run is one of those found. "IS TRUE" keeps PostgreSQL from turning the walk round into a join."""

    template = "(%(expressions)s IN (SELECT id FROM hit)) IS TRUE"
    output_field = BooleanField()


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

    def statement(self, after: "Place | None", *, reverse: bool) -> tuple[str, Sequence[Any]] | None:
        """SQL of (value, run) in order from `after` on; None where there can be none."""
        tie = self.tie_descending != reverse
        orders = [F(self.run).desc() if tie else F(self.run).asc()]
        if self.value:
            orders.insert(0, self._by_value(self.descending != reverse))
        rows = self.source.order_by(*orders)
        if after is not None:
            rows = rows.filter(self._beyond(after.value, after.run, reverse=reverse))
        names = [self.value, self.run] if self.value else [self.run]
        try:
            sql, params = rows.values_list(*names).query.sql_with_params()
        except EmptyResultSet:
            return None
        return sql, params

    def _by_value(self, descending: bool) -> OrderBy:
        if not self.nulls_last:
            return F(self.value).desc() if descending else F(self.value).asc()
        return F(self.value).desc(nulls_last=True) if descending else F(self.value).asc(nulls_first=True)

    def _beyond(self, value: Any, run: int, *, reverse: bool) -> Q:
        further = Q(**{f"{self.run}__{'lt' if self.tie_descending != reverse else 'gt'}": run})
        if not self.value:
            return further
        side = "lt" if self.descending != reverse else "gt"
        # The first half is what the index begins at; it says nothing that the second does not.
        return Q(**{f"{self.value}__{side}e": value}) & (
            Q(**{f"{self.value}__{side}": value}) | (Q(**{self.value: value}) & further)
        )


@dataclass(frozen=True)
class Scope:
    """What is walked through: the runs a list is of, and of which experiments they can be, None for any.

    `held` says that the statement holds their ids as `hit`, because finding them costs more than looking one up.
    """

    rows: QuerySet[Run]
    experiment_ids: Sequence[str] | None
    held: bool

    def own(self) -> QuerySet[Run]:
        return Run.objects.filter(InHit(F("pk"))) if self.held else self.rows

    def keyed(self, model: Any, key: str) -> QuerySet[Any]:
        """Rows of metrics, parameters or tags that belong to them."""
        found = self.near(model.objects.filter(key=key))
        return found.filter(InHit(F("run_id"))) if self.held else found.filter(run__in=self.rows.values("pk"))

    def near(self, found: QuerySet[Any]) -> QuerySet[Any]:
        """Those of its experiments, whether or not they belong to the runs."""
        if self.experiment_ids is None:
            return found
        if self.is_one:
            return found.filter(experiment=self.experiment_ids[0])
        return found.filter(experiment__anyof=self.experiment_ids)

    @property
    def is_one(self) -> bool:
        return self.experiment_ids is not None and len(self.experiment_ids) == 1


def walks_of(ordering: Ordering, scope: Scope) -> list[Walk]:
    """The chain for a list; every run of it is in exactly one of them."""
    down = ordering.descending
    if ordering.kind == "column":
        return _column_walks(ordering, scope)
    if ordering.kind == "metrics":
        # In one experiment its own index serves, which is built upwards.
        nulls_last, tie = (False, down) if scope.is_one else (down, True)
        numbers = scope.keyed(RunMetric, ordering.key).filter(value__isnull=False)
        have = RunMetric.objects.filter(key=ordering.key, value__isnull=False)
        return [Walk(numbers, "value", "run_id", down, tie, nulls_last), _rest(scope, have)]
    if ordering.kind == "tags":
        texts = Walk(scope.keyed(RunTag, ordering.key), "short", "run_id", down, down)
        return [texts, _rest(scope, RunTag.objects.filter(key=ordering.key))]
    keyed = scope.keyed(RunParam, ordering.key)
    figures = Walk(keyed.filter(number__isnull=False), "number", "run_id", down, down)
    texts = Walk(keyed.filter(number__isnull=True), "short", "run_id", down, down)
    return [figures, texts, _rest(scope, RunParam.objects.filter(key=ordering.key))]


def _rest(scope: Scope, have: QuerySet[Any]) -> Walk:
    """Those without a value: newest first whatever the direction."""
    lacking = scope.own().exclude(pk__in=scope.near(have).values("run_id"))
    return Walk(lacking, "", "pk", descending=True, tie_descending=True)


def _column_walks(ordering: Ordering, scope: Scope) -> list[Walk]:
    field, rows, down = COLUMNS[ordering.key], scope.own(), ordering.descending
    if field in {"status", "experiment__name"}:  # Never empty.
        return [Walk(rows, field, "pk", down, down)]
    if field == "first_dataset":
        rows = rows.annotate(first_dataset=KeyTextTransform("name", KeyTextTransform(0, "datasets")))
    lacks = Q(**{field: ""}) if field in TEXTS else Q(**{f"{field}__isnull": True})
    indexed = field in {"started_at", "duration_ms"}
    walk = Walk(rows.exclude(lacks), field, "pk", down, down, nulls_last=indexed)
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
    """One run of a walk: which walk, the value it stands there with, the run; its family where that was asked for."""

    walk: int
    value: Any
    run: int
    family: str = ""


def place_write(ordering: str, leg: Leg, *, reverse: bool) -> str:
    value = leg.value.isoformat() if isinstance(leg.value, datetime) else leg.value
    return signing.dumps([ordering, leg.walk, value, leg.run, int(reverse)], salt=SALT, compress=True)


def place_read(cursor: str, ordering: str) -> Place | None:
    """Raises `CursorInvalid` for a cursor of another order or not made here; None for no cursor."""
    if not cursor:
        return None
    try:
        name, walk, value, run, reverse = signing.loads(cursor[:6000], salt=SALT)
    except (signing.BadSignature, ValueError, UnicodeError):
        raise CursorInvalid from None
    if name != ordering:
        raise CursorInvalid("The cursor belongs to a list in another order; begin with the first page")
    return Place(walk, value, run, bool(reverse))


def legs_read(
    scope: Scope,
    ordering: Ordering,
    place: Place | None,
    limit: int | None,
    *,
    counted: bool = False,
    families: bool = False,
) -> tuple[list[Leg], int | None]:
    """Up to `limit` legs (None: all) from `place` on, from walk to walk; backwards, and so ordered, where it says so.

    With them, if asked, their families, and how many runs the whole list has.
    """
    ctes: list[str] = []
    params: list[Any] = []
    numbers: list[int] = []
    asked = ["(SELECT count(*) FROM hit)" if counted else "NULL::bigint"]
    try:
        sql, given = scope.rows.values_list("pk").query.sql_with_params()
    except EmptyResultSet:
        return [], 0
    if scope.held or counted:
        ctes.append(f"hit(id) AS {'' if scope.held else 'NOT '}MATERIALIZED ({sql})")
        params += given
    for number, walk, statement in _statements(walks_of(ordering, scope), place):
        so_far = "".join(f" - (SELECT count(*) FROM leg{done})" for done in numbers)  # noqa: S608
        names = "value, run" if walk.value else "run"
        bound = "" if limit is None else f" LIMIT {int(limit)}{so_far}"
        ctes.append(f"leg{number}({names}) AS MATERIALIZED ({statement[0]}{bound})")
        params += statement[1]
        asked.append(f"ARRAY(SELECT {'value' if walk.value else 'NULL::text'} FROM leg{number})")  # noqa: S608
        asked.append(f"ARRAY(SELECT run FROM leg{number})")  # noqa: S608
        if families:
            family = f"SELECT family FROM experiments_run WHERE id = leg{number}.run"  # noqa: S608
            asked.append(f"ARRAY(SELECT ({family}) FROM leg{number})")  # noqa: S608
        numbers.append(number)
    with connection.cursor() as cursor:
        # The parts were made by the ORM, and what a person wrote is in `params`.
        cursor.execute(f"WITH {', '.join(ctes)} SELECT {', '.join(asked)}", params)
        count, *arrays = cursor.fetchone()
    width = 3 if families else 2
    legs = []
    for place_of, number in enumerate(numbers):
        columns = arrays[place_of * width : (place_of + 1) * width]
        legs += [Leg(number, *leg) for leg in zip(*columns, strict=True)]
    return legs, count


def _statements(walks: Sequence[Walk], place: Place | None) -> Iterator[tuple[int, Walk, tuple[str, Sequence[Any]]]]:
    reverse = place is not None and place.reverse
    for number in reversed(range(len(walks))) if reverse else range(len(walks)):
        if place is not None and (number > place.walk if reverse else number < place.walk):
            continue
        after = place if place is not None and number == place.walk else None
        statement = walks[number].statement(after, reverse=reverse)
        if statement is not None:
            yield number, walks[number], statement


def experiment_ids_of(rows: QuerySet[Experiment]) -> list[str]:
    return list(rows.order_by().values_list("pk", flat=True))
