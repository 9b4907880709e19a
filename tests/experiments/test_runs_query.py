"""Lists of runs: filter, any order by key-set pages in both directions, counts, who sees what."""

import math
from typing import Any

import pytest
from django.http import QueryDict

from apps.core.exceptions import InvalidInput
from apps.core.paging import CursorInvalid
from apps.experiments.exceptions import FilterInvalid
from apps.experiments.models import Experiment, Run
from apps.experiments.selectors.columns import differing, keys_of, texts_of, values_of
from apps.experiments.selectors.runs import run_query, selected_runs
from tests.cast import Cast, cast_make
from tests.experiments.factories import experiment_make, run_make

pytestmark = pytest.mark.django_db
NAN, INF = math.nan, math.inf


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def study(cast: Cast) -> Experiment:
    """Twelve runs with numbers, ties, infinities, NaN and gaps."""
    experiment = experiment_make(cast.vision, "vision/digits")
    values = [0.5, 0.9, NAN, None, 0.5, INF, -INF, 0.7, None, 0.5, NAN, 0.1]
    for number, value in enumerate(values):
        run_make(
            experiment,
            name=f"r{number:02}",
            metrics={} if value is None else {"auc": value},
            params={} if number % 5 == 4 else {"lr": ["0.1", "10", "9", "adam", "x"][number % 5], "all": "same"},
            tags={"stage": "ab"[number % 2]} if number % 3 else {},
            seconds=None if number == 3 else number * 10,
            note="kept" if number == 7 else "",
        )
    return experiment


def asked(**query: str) -> QueryDict:
    data = QueryDict(mutable=True)
    data.update(query)
    return data


def walked(user: Any, query: dict[str, str], size: int, experiment: Experiment | None = None) -> list[list[str]]:
    """Names page by page, forwards; and the same pages backwards, compared on the way."""
    pages, cursor, previous = [], "", None
    while True:
        page = run_query(user, asked(**query), experiment).page(cursor=cursor, size=size)
        pages.append([run.name for run in page.rows])
        previous = page.previous or previous
        if page.next is None:
            break
        cursor = page.next
    back = [pages[-1]]
    page = run_query(user, asked(**query), experiment).page(cursor=cursor, size=size) if cursor else page
    while page.previous:
        page = run_query(user, asked(**query), experiment).page(cursor=page.previous, size=size)
        back.append([run.name for run in page.rows])
        assert page.next
    assert list(reversed(back)) == pages
    return pages


@pytest.mark.parametrize("column", ["metrics.auc", "duration", "started_at", "ended_at"])
@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("alone", [True, False])
def test_every_order_is_walked_in_pages_both_ways(
    cast: Cast, study: Experiment, column: str, sign: str, alone: bool
) -> None:
    pages = walked(cast.dana, {"ordering": sign + column}, 5, study if alone else None)
    names = [name for page in pages for name in page]
    assert len(names) == len(set(names)) == 12
    by_name = {run.name: run for run in Run.objects.prefetch_related("metrics")}
    if column == "metrics.auc":
        shown = [next((m.value for m in by_name[name].metrics.all()), None) for name in names]
    else:
        shown = [getattr(by_name[name], {"duration": "duration_ms"}.get(column, column)) for name in names]
    known = [value for value in shown if value is not None]
    assert known == sorted(known, reverse=bool(sign))
    assert shown[len(known) :] == [None] * (12 - len(known))


def test_numbers_come_before_words_before_nothing(cast: Cast, study: Experiment) -> None:
    names = [name for page in walked(cast.dana, {"ordering": "params.lr"}, 4) for name in page]
    params = {run.name: dict(run.params.values_list("key", "value")).get("lr") for run in Run.objects.all()}
    assert [params[name] for name in names] == ["0.1"] * 3 + ["9"] * 2 + ["10"] * 3 + ["adam"] * 2 + [None] * 2
    names = [name for page in walked(cast.dana, {"ordering": "-params.lr"}, 4) for name in page]
    assert [params[name] for name in names] == ["10"] * 3 + ["9"] * 2 + ["0.1"] * 3 + ["adam"] * 2 + [None] * 2


@pytest.mark.parametrize(
    "ordering", ["tags.stage", "-name", "note", "status", "experiment", "datasets", "-user", "commit"]
)
def test_other_orders_lose_nothing(cast: Cast, study: Experiment, ordering: str) -> None:
    names = [name for page in walked(cast.dana, {"ordering": ordering}, 5) for name in page]
    assert len(set(names)) == 12
    if ordering == "note":
        assert names[0] == "r07"


@pytest.mark.parametrize("ordering", ["nonsense", "metrics.", "-", "haystack", "metrics.a\0b", "params.\ud800"])
def test_an_unknown_order_is_refused(cast: Cast, ordering: str) -> None:
    with pytest.raises(InvalidInput):
        run_query(cast.dana, asked(ordering=ordering))


def test_a_cursor_of_another_order_is_refused(cast: Cast, study: Experiment) -> None:
    page = run_query(cast.dana, asked(ordering="name")).page(size=3)
    assert page.next
    for query, cursor in (({"ordering": "-name"}, page.next), ({}, "made-up"), ({}, "a:b:c")):
        with pytest.raises(CursorInvalid):
            run_query(cast.dana, asked(**query)).page(cursor=cursor)


def test_a_page_begins_after_the_last_row_whatever_came_meanwhile(cast: Cast, study: Experiment) -> None:
    query = asked(ordering="-metrics.auc")
    first = run_query(cast.dana, query).page(size=3)
    run_make(study, name="new", metrics={"auc": 0.95})
    second = run_query(cast.dana, query).page(cursor=first.next or "", size=20)
    names = [run.name for run in (*first.rows, *second.rows)]
    assert len(set(names)) == 12
    assert "new" not in names


def test_others_runs_are_neither_listed_nor_counted(cast: Cast, study: Experiment) -> None:
    other = experiment_make(cast.pricing)
    theirs = run_make(other, metrics={"auc": 1.0}, params={"secret": "s3"})
    for text in ("", "metrics.auc > 0", "NOT metrics.auc > 2", "a OR NOT a"):
        query = run_query(cast.dana, asked(filter=text, ordering="-metrics.auc"))
        assert theirs.pk not in {run.pk for run in query.page().rows}
        assert query.count() == query.rows().count() == len(query.page().rows)
    assert selected_runs(cast.dana, QueryDict(f"run={theirs.run_id}")) == []
    assert run_query(cast.dana, asked(team="pricing")).count() == 0
    assert run_query(cast.dana, asked(team="vision")).count() == 12
    assert run_query(cast.pete, asked()).count() == 13
    assert "secret" not in keys_of("params", run_query(cast.dana, asked()).experiment_ids)
    assert keys_of("params", None) == ["all", "lr", "secret"]
    assert keys_of("params", [study.pk], containing="L") == ["all", "lr"]
    assert keys_of("params", [study.pk], containing="%") == []
    assert texts_of("params", "secret", [study.pk]) == []
    assert texts_of("params", "lr", [study.pk], containing="d") == ["adam"]


def test_archived_runs_are_a_list_of_their_own(cast: Cast, study: Experiment) -> None:
    Run.objects.filter(name="r01").update(archived=True)
    assert run_query(cast.dana, asked()).count() == 11
    gone = run_query(cast.dana, asked(archived="1", ordering="-metrics.auc"))
    assert [run.name for run in gone.page().rows] == ["r01"]


def test_a_filter_that_cannot_be_read_is_said_at_once(cast: Cast) -> None:
    with pytest.raises(FilterInvalid):
        run_query(cast.dana, asked(filter="lr >"))


def test_chosen_runs_come_in_the_order_named(cast: Cast, study: Experiment) -> None:
    runs = {run.name: run for run in Run.objects.all()}
    named = QueryDict(f"run={runs['r05'].run_id}&run={runs['r02'].run_id}&run=nonsense%00&run={'x' * 99}")
    assert [run.name for run in selected_runs(cast.dana, named)] == ["r05", "r02"]
    assert [run.name for run in selected_runs(cast.dana, asked(ordering="-metrics.auc"), None, 2)] == ["r05", "r01"]


def test_values_of_many_runs_take_one_query(cast: Cast, study: Experiment, django_assert_num_queries: Any) -> None:
    runs = run_query(cast.dana, asked(ordering="name")).page().rows
    with django_assert_num_queries(1):
        values = values_of(runs, metrics=["auc"], params=None, tags=["stage"])
    first = values[runs[0].pk]
    assert first["metrics.auc"] == 0.5
    assert first["params.lr"] == "0.1"
    assert first["experiment"] == "vision/digits"
    assert values[runs[2].pk]["metrics.auc"] is None
    assert "metrics.auc" not in values[runs[3].pk]
    rows = [values[run.pk] for run in runs[:3]]
    assert differing(rows, ["params.lr", "params.all", "metrics.auc"]) == ["params.lr", "metrics.auc"]


def test_an_export_goes_through_everything_once(cast: Cast, study: Experiment) -> None:
    chunks = list(run_query(cast.dana, asked(ordering="-metrics.auc")).chunks(size=5))
    assert [len(chunk) for chunk in chunks] == [5, 5, 2]
    assert len({run.pk for chunk in chunks for run in chunk}) == 12
