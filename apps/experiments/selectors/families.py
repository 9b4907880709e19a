"""Runs as families: one row for a topmost run and all below it, at the place of the best member under any order.

A family is on the list when any member matches the filter; the row is its topmost run, whether that matches or not.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection

from apps.experiments.models import Run
from apps.experiments.selectors.listed import ListedRun, runs_listed, runs_listed_by_id
from apps.experiments.selectors.ordering import Leg, Place, Sql, legs_read, place_read, place_write
from apps.experiments.selectors.runs import RunQuery, runs_of_legs

BATCH = 150
MOST_BATCH = 5000
MOST_CHILDREN = 200


@dataclass(frozen=True)
class Family:
    """`top` is its row; `children` how many runs below it match, `best` of their main metric."""

    top: ListedRun
    matches: bool
    children: int
    best: float | None
    metric: str


@dataclass(frozen=True)
class FamilyPage:
    families: list[Family]
    next: str | None
    previous: str | None
    count: int | None


def has_families(query: RunQuery) -> bool:
    """Whether any experiment in scope has a run with a parent; else the flat list is the same and quicker."""
    if query.experiment is not None:
        return query.experiment.has_children
    which = "" if query.experiment_ids is None else " AND id = ANY(%s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT 1 FROM experiments_experiment WHERE has_children{which})",  # noqa: S608
            [] if query.experiment_ids is None else [query.experiment_ids],
        )
        (has,) = cursor.fetchone()
    return bool(has)


def families_page(query: RunQuery, *, cursor: str = "", size: int = 100) -> FamilyPage:
    """One page of families; `count` is of the runs that match, as in the flat list. Raises `CursorInvalid`."""
    name = f"family:{query.ordering}"
    place = place_read(cursor, name)
    reverse = place is not None and place.reverse
    found, count = _firsts(query, place, size + 1)
    more, found = len(found) > size, found[:size]
    if reverse:
        found.reverse()
    if not found:
        return FamilyPage([], None, None, count)
    has_next, has_previous = (True, more) if reverse else (more, place is not None)
    return FamilyPage(
        families_of(query, [family for family, _ in found]),
        place_write(name, found[-1][1], reverse=False) if has_next else None,
        place_write(name, found[0][1], reverse=True) if has_previous else None,
        count,
    )


def _firsts(query: RunQuery, place: Place | None, limit: int) -> tuple[list[tuple[str, Leg]], int | None]:
    """Families from `place` on, each with the leg it stands at: that of its first member in the whole order.

    1. Walk on by some legs. 2. Of their families, find which leg comes first: from the top of the list, the one met.
    3. Keep those whose first is here; the others are on other pages. 4. Until enough, walk on from the last leg,
    further each time and past families seen.
    """
    from_top = place is None
    reverse = place is not None and place.reverse
    kept: list[tuple[str, Leg]] = []
    seen: set[str] = set()
    total = query.total()
    count = total.kept
    batch = max(BATCH, limit + limit // 2)
    while len(kept) < limit:
        scope = query.scope
        if seen:
            scope = scope.narrowed(Sql("run.family <> ALL(%s)", (list(seen),)), held=scope.held is not None)
        ask = not seen and count is None
        legs, counted = legs_read(scope, query.ordering, place, batch, counted=ask, families=True)
        count = total.settled(counted) if count is None else count
        if not legs:
            break
        fresh = {leg.family for leg in legs} - seen
        firsts = _met_first(legs) if from_top else _first_members(query, fresh)
        kept += [(leg.family, leg) for leg in legs if firsts.get(leg.family) == leg.run]
        # Backwards, a family met at a later member still has its first to come.
        seen |= {family for family, _ in kept} if reverse else fresh
        if len(legs) < batch:
            break
        last = legs[-1]
        place, batch = Place(last.walk, last.value, last.run, reverse), min(batch * 2, MOST_BATCH)
    return kept[:limit], count


def _met_first(legs: Iterable[Leg]) -> dict[str, int]:
    """Family → the first of its runs."""
    firsts: dict[str, int] = {}
    for leg in legs:
        firsts.setdefault(leg.family, leg.run)
    return firsts


def _first_members(query: RunQuery, families: Iterable[str]) -> dict[str, int]:
    """Family → the matching run that stands first in the order."""
    scope = query.scope.narrowed(Sql("run.family = ANY(%s)", (list(families),)), held=True)
    return _met_first(legs_read(scope, query.ordering, None, None, families=True)[0])


def families_of(query: RunQuery, families: Sequence[str]) -> list[Family]:
    """Their topmost runs with what is below them, in the order given: two queries, three where something is."""
    tops = {run.run_id: run for run in query.seen(list(runs_listed_by_id(families).values()))}
    missing = [family for family in families if family not in tops]
    if missing:  # The parent was removed for good, or is not to be seen: any of its children stands for it.
        orphans = Run.objects.visible_to(query.user).filter(family__anyof=missing).order_by("family", "-pk")
        tops |= {run.family: run for run in runs_listed(list(orphans.distinct("family").values_list("pk", flat=True)))}
    sums = _sums(query, tops)
    return [_family(query, tops[one], sums.get(one, _NOTHING)) for one in families if one in tops]


class _Sum(NamedTuple):
    """Of a family's matching runs: how many they are, whether the topmost is one, and the ends of the metric."""

    members: int
    has_top: bool
    least: float | None
    most: float | None


_NOTHING = _Sum(0, has_top=False, least=None, most=None)
_ALONE = _Sum(1, has_top=True, least=None, most=None)
_NESTED = "SELECT DISTINCT family FROM experiments_run WHERE family = ANY(%s) AND parent_run_id <> ''"
_SUMS = """
    SELECT run.family, count(*), bool_or(run.id = told.top), min(metric.value), max(metric.value)
    FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS told(family, top, key)
    JOIN experiments_run AS run ON run.family = told.family
    LEFT JOIN experiments_runmetric AS metric ON metric.run_id = run.id AND metric.key = told.key
    WHERE {where} GROUP BY run.family
"""


def _sums(query: RunQuery, tops: dict[str, ListedRun]) -> dict[str, _Sum]:
    """By family. `tops` is family → the run that stands for it. Where nothing is below it, it is what the list met."""
    with connection.cursor() as cursor:
        cursor.execute(_NESTED, [list(tops)])
        nested = {family: tops[family] for (family,) in cursor.fetchall()}
        alone = {family: _ALONE for family in tops if family not in nested}
        if not nested:
            return alone
        where = query.scope.where
        told = [list(nested), [top.pk for top in nested.values()], [_metric(query, top) for top in nested.values()]]
        cursor.execute(_SUMS.format(where=where.text), [*told, *where.params])
        return alone | {family: _Sum(*sums) for family, *sums in cursor.fetchall()}


def _family(query: RunQuery, top: ListedRun, sums: _Sum) -> Family:
    children = sums.members - sums.has_top
    best = (sums.least if _is_lowest(query, top) else sums.most) if children else None
    return Family(top, sums.has_top, children, best, _metric(query, top))


def _metric(query: RunQuery, top: ListedRun) -> str:
    return query.ordering.key if query.ordering.kind == "metrics" else top.experiment.main_metric


def _is_lowest(query: RunQuery, top: ListedRun) -> bool:
    if query.ordering.kind == "metrics" and query.ordering.key != top.experiment.main_metric:
        return not query.ordering.descending
    return top.experiment.lowest_is_best


def children_of(query: RunQuery, family: Family) -> list[ListedRun]:
    """The matching runs below a family's topmost one, in the order of the list, at most 200."""
    below = Sql("run.family = %s AND run.id <> %s", (family.top.family, family.top.pk))
    scope = query.scope.narrowed(below, held=True)
    legs = legs_read(scope, query.ordering, None, MOST_CHILDREN)[0]
    return runs_of_legs(legs)
