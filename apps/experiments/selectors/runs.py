"""Runs as lists show them: filtered, in an order, by page, counted; and the runs that somebody chose."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.http import QueryDict

from apps.accounts.models import Team, User
from apps.accounts.selectors import OwnTeam, own_teams
from apps.experiments.filters import All, Node, filter_parse, filter_q
from apps.experiments.models import ID_LENGTH, Experiment, Run
from apps.experiments.selectors.listed import ListedRun, runs_listed
from apps.experiments.selectors.ordering import (
    DEFAULT_ORDERING,
    Leg,
    Ordering,
    Scope,
    Sql,
    experiment_ids_of,
    legs_read,
    of_experiments,
    ordering_read,
    place_read,
    place_write,
)
from apps.experiments.selectors.totals import COUNTED, Total, total_of

# The end of each experiment's own index; by ORDER BY the table is walked through where a team's runs are old.
NEWEST = """
    SELECT max(of_one.newest) FROM unnest(%s::text[]) AS one(id), LATERAL (
        SELECT max(id) AS newest FROM experiments_run WHERE experiment_id = one.id AND NOT archived) AS of_one
"""
NEWEST_OF_ONE = "SELECT max(id) FROM experiments_run WHERE experiment_id = %s AND NOT archived"
NEWEST_OF_ALL = "SELECT max(id) FROM experiments_run WHERE NOT archived"
MOST_CHOSEN = 1000
CHUNK = 1000


@dataclass(frozen=True)
class RunPage:
    rows: list[ListedRun]
    next: str | None
    previous: str | None
    count: int | None = None


@dataclass
class RunQuery:
    """What a list of runs was asked for. `archived` ones or the others, never both."""

    user: User
    experiment: Experiment | None = None
    filter: str = ""
    ordering: Ordering = field(default_factory=lambda: ordering_read(DEFAULT_ORDERING))
    archived: bool = False
    team: Team | None = None

    @cached_property
    def node(self) -> Node:
        return filter_parse(self.filter)

    @cached_property
    def experiment_ids(self) -> list[str] | None:
        """Of those the runs can be of; None where that is every experiment there is."""
        if not self.user.is_active:
            return []
        if self.experiment is not None:
            return [self.experiment.pk]
        if self.user.sees_everything and self.team is None:
            return None
        seen = Experiment.objects.visible_to(self.user)
        return experiment_ids_of(seen if self.team is None else seen.filter(team=self.team))

    @cached_property
    def own_teams(self) -> list[OwnTeam]:
        """Those that the person belongs to, by name."""
        return own_teams(self.user)

    @cached_property
    def _rows(self) -> QuerySet[Run]:
        rows = Run.objects.visible_to(self.user) if self.experiment_ids is None else Run.objects.all()
        # The ids were asked of visible_to above; asking twice costs a query. Of one, its own index tells the newest.
        if self.experiment_ids is not None and len(self.experiment_ids) == 1:
            rows = rows.filter(experiment=self.experiment_ids[0])
        elif self.experiment_ids is not None:
            rows = rows.filter(experiment__anyof=self.experiment_ids)
        return rows.filter(filter_q(self.node, experiment_id=self._one_id), archived=self.archived)

    @property
    def _one_id(self) -> str:
        return self.experiment.pk if self.experiment is not None else ""

    def seen(self, runs: Sequence[ListedRun]) -> list[ListedRun]:
        """Those that the person sees: a parent and a baseline can be of another experiment than the list is."""
        if self.user.sees_everything:
            return list(runs)
        others = {run.experiment_id for run in runs}.difference(self.experiment_ids or ())
        also = Experiment.objects.visible_to(self.user).filter(pk__in=others) if others else ()
        hidden = others.difference(experiment.pk for experiment in also)
        return [run for run in runs if run.experiment_id not in hidden]

    def rows(self) -> QuerySet[Run]:
        """Filtered and visible, in no order."""
        return self._rows.order_by()

    def newest(self) -> int | None:
        """The highest key of the runs looked through, whatever the filter leaves: what comes later is above.

        None for archived ones, which nobody waits for.
        """
        if self.archived:
            return None
        with connection.cursor() as cursor:
            if self.experiment_ids is None:
                cursor.execute(NEWEST_OF_ALL)
            elif len(self.experiment_ids) == 1:
                cursor.execute(NEWEST_OF_ONE, self.experiment_ids)
            else:
                cursor.execute(NEWEST, [self.experiment_ids])
            (newest,) = cursor.fetchone()
        return newest or 0

    def count(self) -> int:
        return self.rows().count()

    def total(self) -> Total:
        """What is known of the list's length without counting."""
        return total_of(self.experiment_ids, archived=self.archived) if self.node == All() else COUNTED

    @cached_property
    def scope(self) -> Scope:
        if self.node == All():
            kept = Sql("run.archived" if self.archived else "NOT run.archived")
            ids = self.experiment_ids
            return Scope(kept if ids is None else kept & of_experiments("run", ids), ids)
        try:
            found = Sql(*self.rows().values_list("pk").query.sql_with_params())
        except EmptyResultSet:
            found = Sql("SELECT id FROM experiments_run WHERE FALSE")
        return Scope(Sql(f"run.id IN ({found.text})", found.params), self.experiment_ids, held=found)

    def page(self, *, cursor: str = "", size: int = 100, counted: bool = False) -> RunPage:
        """Two queries, the count included. Raises `CursorInvalid`."""
        name = str(self.ordering)
        place = place_read(cursor, name)
        reverse = place is not None and place.reverse
        total = self.total() if counted else COUNTED
        legs, count = legs_read(self.scope, self.ordering, place, size + 1, counted=counted and total.kept is None)
        count = total.settled(count)
        more, legs = len(legs) > size, legs[:size]
        if reverse:
            legs.reverse()
        if not legs:
            return RunPage([], None, None, count)
        has_next, has_previous = (True, more) if reverse else (more, place is not None)
        return RunPage(
            runs_of_legs(legs),
            place_write(name, legs[-1], reverse=False) if has_next else None,
            place_write(name, legs[0], reverse=True) if has_previous else None,
            count,
        )

    def first(self, limit: int) -> list[ListedRun]:
        return runs_of_legs(legs_read(self.scope, self.ordering, None, limit)[0])

    def chunks(self, size: int = CHUNK) -> Iterator[list[ListedRun]]:
        """All runs in their order, some at a time: an export holds no more than one chunk."""
        cursor = ""
        while True:
            page = self.page(cursor=cursor, size=size)
            if page.rows:
                yield page.rows
            if page.next is None:
                return
            cursor = page.next


def run_query(user: User, get: QueryDict | Mapping[str, Any], experiment: Experiment | None = None) -> RunQuery:
    """From an address: `filter`, `ordering`, `archived`, `team`. Raises `FilterInvalid`, for an order `InvalidInput`.

    `experiment` is one that the person sees.
    A team that the person does not belong to leaves nothing rather than everything.
    """
    slug = str(get.get("team", ""))[:40]
    team = None
    if slug and experiment is None:
        team = Team.objects.visible_to(user).filter(slug=slug.replace("\0", "")).first() or Team(slug="")
    query = RunQuery(
        user=user,
        experiment=experiment,
        filter=str(get.get("filter", "")),
        ordering=ordering_read(str(get.get("ordering", ""))),
        archived=str(get.get("archived", "")) not in {"", "0", "false"},
        team=team,
    )
    query.node  # noqa: B018 - what cannot be read is said here, not in the middle of a page
    return query


def runs_of_legs(legs: Sequence[Leg]) -> list[ListedRun]:
    """The runs themselves, in the order of the legs."""
    return runs_listed([leg.run for leg in legs])


def selected_runs(
    user: User, get: QueryDict, experiment: Experiment | None = None, limit: int = MOST_CHOSEN
) -> list[ListedRun]:
    """The runs named by `run=` that the person sees, in the order named; without any, the first of the query."""
    named = [run_id for run_id in dict.fromkeys(get.getlist("run")) if 0 < len(run_id) <= ID_LENGTH]
    named = [run_id for run_id in named if run_id.isascii() and run_id.isalnum()][: min(limit, MOST_CHOSEN)]
    if not named and "run" not in get:
        return run_query(user, get, experiment).first(limit)
    rows = Run.objects.visible_to(user).filter(run_id__in=named)
    if experiment is not None:
        rows = rows.filter(experiment=experiment)
    pks = dict(rows.order_by().values_list("run_id", "pk"))
    return runs_listed([pks[run_id] for run_id in named if run_id in pks])
