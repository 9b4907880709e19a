"""Runs in any order, page by page without OFFSET: an order is a chain of walks, each along an index if there is one.

By a metric, first come the runs that have a number for it, read from the index of the metrics alone; only when the
page is not full yet the others follow. A cursor names the walk it ended in and the value and id it ended at.

One statement does it all: what the filter leaves is found once and held as a list of ids, which is counted, and which
the walks look each run up in. Without a filter nothing is held, and each run met is looked up in the table.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.core import signing
from django.db import connection
from django.db.models import QuerySet

from apps.core.exceptions import InvalidInput
from apps.core.paging import CursorInvalid
from apps.experiments.models import Experiment

SALT = "experiments.runs"
DEFAULT_ORDERING = "-started_at"
RUN = "experiments_run AS run"
METRICS, PARAMS, TAGS = "experiments_runmetric", "experiments_runparam", "experiments_runtag"
EXPERIMENT_NAME = "experiment.name"
# Column of the table → what it is ordered by; what a text lacks is "", and sorts last as NULL does.
COLUMNS = {
    "started_at": "run.started_at",
    "ended_at": "run.ended_at",
    "duration": "run.duration_ms",
    "core_seconds": "run.core_seconds",
    "memory_byte_seconds": "run.memory_byte_seconds",
    "gpu_seconds": "run.gpu_seconds",
    "name": "run.name",
    "status": "run.status",
    "user": "run.user_name",
    "note": "run.note",
    "commit": "run.commit",
    "source": "run.source_name",
    "experiment": EXPERIMENT_NAME,
    "datasets": "run.datasets->0->>'name'",
}
TEXTS = frozenset({"run.name", "run.user_name", "run.note", "run.commit", "run.source_name"})


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
class Sql:
    """A piece of a statement and what is given with it. The text is our own; what a person wrote is in `params`."""

    text: str
    params: tuple[Any, ...] = ()

    def __and__(self, other: "Sql") -> "Sql":
        return Sql(f"{self.text} AND {other.text}", self.params + other.params)


@dataclass(frozen=True)
class Scope:
    """What is walked through: the runs that `where` leaves, a condition on `run`, a row of `experiments_run`.

    `experiment_ids` are of which experiments they can be, None for any. `held` says that the statement holds their ids
    as `hit`, because finding them costs more than looking one up; `ids` is then a SELECT of them.
    """

    where: Sql
    experiment_ids: Sequence[str] | None
    held: Sql | None = None

    def narrowed(self, condition: Sql, *, held: bool) -> "Scope":
        narrower = replace(self, where=self.where & condition, held=None)
        return replace(narrower, held=narrower.ids) if held else narrower

    @property
    def ids(self) -> Sql:
        """A SELECT of them."""
        return self.held or Sql(f"SELECT run.id FROM {RUN} WHERE {self.where.text}", self.where.params)  # noqa: S608

    def own(self, source: str = RUN) -> Sql:
        """FROM and WHERE of the runs."""
        # "IS TRUE" keeps PostgreSQL from turning the walk round into a join.
        where = Sql("(run.id IN (SELECT id FROM hit)) IS TRUE") if self.held else self.where
        return Sql(f"{source} WHERE {where.text}", where.params)

    def keyed(self, table: str, key: str) -> Sql:
        """FROM and WHERE of metrics, parameters or tags that belong to them."""
        if self.held:
            return self.near(table, key) & Sql("(one.run_id IN (SELECT id FROM hit)) IS TRUE")
        return self.near(table, key) & Sql(f"one.run_id IN ({self.ids.text})", self.ids.params)

    def near(self, table: str, key: str) -> Sql:
        """Those of its experiments, whether or not they belong to the runs."""
        found = Sql(f"{table} AS one WHERE one.key = %s", (key,))
        return found if self.experiment_ids is None else found & of_experiments("one", self.experiment_ids)

    @property
    def is_one(self) -> bool:
        return self.experiment_ids is not None and len(self.experiment_ids) == 1


def of_experiments(table: str, ids: Sequence[str]) -> Sql:
    """The condition on their rows. Of one experiment its own index tells more than of an array with one in it."""
    if len(ids) == 1:
        return Sql(f"{table}.experiment_id = %s", (ids[0],))
    return Sql(f"{table}.experiment_id = ANY(%s)", (list(ids),))


@dataclass(frozen=True)
class Walk:
    """Rows in one order. `value` is what they are ordered by, "" for the id alone; `run` the column that is the run.

    `source` is FROM and WHERE. `nulls_last` says how the index is built: value DESC NULLS LAST; else value ASC. Where
    there is none either does.
    """

    source: Sql
    value: str
    run: str
    descending: bool
    tie_descending: bool
    nulls_last: bool = False

    def statement(self, after: "Place | None", *, reverse: bool) -> Sql:
        """A SELECT of (value, run) in order from `after` on."""
        orders = [f"{self.run} {_direction(self.tie_descending != reverse)}"]
        if self.value:
            orders.insert(0, f"{self.value} {self._by_value(self.descending != reverse)}")
        rows = self.source if after is None else self.source & self._beyond(after.value, after.run, reverse=reverse)
        names = f"{self.value}, {self.run}" if self.value else self.run
        return Sql(f"SELECT {names} FROM {rows.text} ORDER BY {', '.join(orders)}", rows.params)  # noqa: S608

    def _by_value(self, descending: bool) -> str:
        if not self.nulls_last:
            return _direction(descending)
        return "DESC NULLS LAST" if descending else "ASC NULLS FIRST"

    def _beyond(self, value: Any, run: int, *, reverse: bool) -> Sql:
        further = f"{self.run} {_side(self.tie_descending != reverse)} %s"
        if not self.value:
            return Sql(further, (run,))
        name, side = self.value, _side(self.descending != reverse)
        # The first half is what the index begins at; it says nothing that the second does not.
        return Sql(f"{name} {side}= %s AND ({name} {side} %s OR ({name} = %s AND {further}))", (value,) * 3 + (run,))


def _direction(descending: bool) -> str:
    return "DESC" if descending else "ASC"


def _side(descending: bool) -> str:
    return "<" if descending else ">"


def walks_of(ordering: Ordering, scope: Scope) -> list[Walk]:
    """The chain for a list; every run of it is in exactly one of them."""
    down, key = ordering.descending, ordering.key
    if ordering.kind == "column":
        return _column_walks(ordering, scope)
    if ordering.kind == "metrics":
        # In one experiment its own index serves, which is built upwards.
        nulls_last, tie = (False, down) if scope.is_one else (down, True)
        is_number = Sql("one.value IS NOT NULL")
        numbers = scope.keyed(METRICS, key) & is_number
        return [
            Walk(numbers, "one.value", "one.run_id", down, tie, nulls_last),
            _rest(scope, scope.near(METRICS, key) & is_number),
        ]
    if ordering.kind == "tags":
        texts = Walk(scope.keyed(TAGS, key), "one.short", "one.run_id", down, down)
        return [texts, _rest(scope, scope.near(TAGS, key))]
    keyed = scope.keyed(PARAMS, key)
    figures = Walk(keyed & Sql("one.number IS NOT NULL"), "one.number", "one.run_id", down, down)
    texts = Walk(keyed & Sql("one.number IS NULL"), "one.short", "one.run_id", down, down)
    return [figures, texts, _rest(scope, scope.near(PARAMS, key))]


def _rest(scope: Scope, have: Sql) -> Walk:
    """Those without a value: newest first whatever the direction."""
    lacking = scope.own() & Sql(f"run.id NOT IN (SELECT one.run_id FROM {have.text})", have.params)  # noqa: S608
    return Walk(lacking, "", "run.id", descending=True, tie_descending=True)


def _column_walks(ordering: Ordering, scope: Scope) -> list[Walk]:
    column, down = COLUMNS[ordering.key], ordering.descending
    if column == EXPERIMENT_NAME:
        rows = scope.own(
            "experiments_run AS run JOIN experiments_experiment AS experiment ON experiment.id = run.experiment_id"
        )
        return [Walk(rows, column, "run.id", down, down)]
    rows = scope.own()
    if column == "run.status":  # Never empty.
        return [Walk(rows, column, "run.id", down, down)]
    has, lacks = ("<> ''", "= ''") if column in TEXTS else ("IS NOT NULL", "IS NULL")
    indexed = column in {"run.started_at", "run.duration_ms"}
    walk = Walk(rows & Sql(f"{column} {has}"), column, "run.id", down, down, nulls_last=indexed)
    return [walk, Walk(rows & Sql(f"{column} {lacks}"), "", "run.id", descending=True, tie_descending=True)]


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
    if scope.held or counted:
        ctes.append(f"hit(id) AS {'' if scope.held else 'NOT '}MATERIALIZED ({scope.ids.text})")
        params += scope.ids.params
    for number, walk, statement in _statements(walks_of(ordering, scope), place):
        so_far = "".join(f" - (SELECT count(*) FROM leg{done})" for done in numbers)  # noqa: S608
        names = "value, run" if walk.value else "run"
        bound = "" if limit is None else f" LIMIT {int(limit)}{so_far}"
        ctes.append(f"leg{number}({names}) AS MATERIALIZED ({statement.text}{bound})")
        params += statement.params
        asked.append(f"ARRAY(SELECT {'value' if walk.value else 'NULL::text'} FROM leg{number})")  # noqa: S608
        asked.append(f"ARRAY(SELECT run FROM leg{number})")  # noqa: S608
        if families:
            family = f"SELECT family FROM experiments_run WHERE id = leg{number}.run"  # noqa: S608
            asked.append(f"ARRAY(SELECT ({family}) FROM leg{number})")  # noqa: S608
        numbers.append(number)
    with connection.cursor() as cursor:
        # Of our own words; what a person wrote is in `params`.
        cursor.execute(f"WITH {', '.join(ctes)} SELECT {', '.join(asked)}", params)
        count, *arrays = cursor.fetchone()
    width = 3 if families else 2
    legs = []
    for place_of, number in enumerate(numbers):
        columns = arrays[place_of * width : (place_of + 1) * width]
        legs += [Leg(number, *leg) for leg in zip(*columns, strict=True)]
    return legs, count


def _statements(walks: Sequence[Walk], place: Place | None) -> Iterator[tuple[int, Walk, Sql]]:
    reverse = place is not None and place.reverse
    for number in reversed(range(len(walks))) if reverse else range(len(walks)):
        if place is not None and (number > place.walk if reverse else number < place.walk):
            continue
        after = place if place is not None and number == place.walk else None
        yield number, walks[number], walks[number].statement(after, reverse=reverse)


def experiment_ids_of(rows: QuerySet[Experiment]) -> list[str]:
    return list(rows.order_by().values_list("pk", flat=True))
