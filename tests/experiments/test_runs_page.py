"""The runs table as a page: rows, filter, columns, families, groups, completion, and what came since it was opened."""

import json
import re
from html import unescape

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from apps.experiments.models import Experiment, Run, TablePreference, TrackerIndex
from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import experiment_make, five_runs_make, run_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture(autouse=True)
def index_read(db: None) -> None:
    now = timezone.now()
    TrackerIndex.objects.update_or_create(pk=1, defaults={"imported_at": now, "read_at": now})


@pytest.fixture
def study(cast: Cast) -> Experiment:
    return five_runs_make(cast.vision)


@pytest.fixture
def dana(cast: Cast) -> Client:
    return browser(cast.dana)


def names(page: str) -> list[str]:
    return re.findall(r'aria-label="Select (run\w+|child\w+|top\w*)"', page)


def test_doors(cast: Cast, study: Experiment) -> None:
    url = f"/experiments/{study.pk}/"
    assert browser(None).get(url).status_code == 302
    assert browser(cast.mallory).get(url).status_code == 404
    for user in (cast.dana, cast.mira, cast.ada, cast.pete):
        assert browser(user).get(url).status_code == 200
    for word in ("nothere", "x" * 40, "-"):
        assert browser(cast.dana).get(f"/experiments/{word}/").status_code == 404


def test_a_page_shows_runs_newest_first_with_what_differs(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/").content.decode()
    assert names(page) == ["run4", "run3", "run2", "run1", "run0"]
    heads = re.findall(r'data-key="([^"]+)"', page)
    assert heads[:6] == ["name", "status", "note", "started_at", "duration", "metrics.auc"]
    assert "params.lr" in heads
    assert "params.optimizer" not in heads
    assert re.search(r">5</span>\s+runs", page)
    assert "style=" not in page.split("<main")[1].split("</main")[0]


def test_a_page_is_ordered_and_filtered_by_its_address(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/", {"ordering": "metrics.auc", "filter": "params.lr > 0.2"})
    assert names(page.content.decode()) == ["run2", "run3", "run4"]
    everywhere = dana.get("/experiments/runs/", {"ordering": "-metrics.loss", "filter": "params.depth = 5"})
    assert names(everywhere.content.decode()) == ["run0", "run2", "run4"]
    assert f"/experiments/{study.pk}/" in everywhere.content.decode()


def test_the_list_alone_is_answered_to_a_page_that_has_the_rest(dana: Client, study: Experiment) -> None:
    part = {"HX-Request": "true", "HX-Target": "runs"}
    ordered = dana.get(f"/experiments/{study.pk}/", {"ordering": "metrics.auc"}, headers=part).content.decode()
    assert names(ordered) == ["run0", "run1", "run2", "run3", "run4"]
    assert ordered.lstrip().startswith('<div id="runs"')
    assert re.search(r'name="ordering"\s+value="metrics.auc"\s+form="runs-filter"', ordered)
    assert "<main" not in ordered
    # What is wrong with a filter stands outside of the list.
    assert "<main" in dana.get(f"/experiments/{study.pk}/", {"filter": "("}, headers=part).content.decode()
    other = {"HX-Request": "true", "HX-Target": "main"}
    assert "<main" in dana.get(f"/experiments/{study.pk}/", headers=other).content.decode()


def test_a_link_to_another_page_names_one_place(dana: Client, study: Experiment) -> None:
    for number in range(101):
        run_make(study, name=f"more{number}")
    for url in (f"/experiments/{study.pk}/", "/experiments/runs/"):
        first = dana.get(url).content.decode()
        (following,) = re.findall(r'href="(\?[^"]+)" rel="next"', first)
        assert following.count("cursor=") == 1
        second = dana.get(url + unescape(following)).content.decode()
        (following,) = re.findall(r'href="(\?[^"]+)" rel="prev"', second)
        assert following.count("cursor=") == 1
        assert names(dana.get(url + unescape(following)).content.decode()) == names(first)


def test_a_filter_that_cannot_be_read_shows_where(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/", {"filter": "metrics.auc > 'x' & <b>"})
    assert page.status_code == 422
    text = page.content.decode()
    assert "metrics.auc &gt; &#x27;x&#x27; &amp; &lt;b&gt;\n              ^" in text
    assert "compared with a number" in text
    moments = ("start_time > '2026-11-01T00:00:00-22:44'", "start_time < '0001-01-01T00:00:00+23:00'")
    for odd in ("(" * 4000, "metrics.a > 1e999", "name LIKE '%\\'", "😀 = 1", *moments):
        assert dana.get(f"/experiments/{study.pk}/", {"filter": odd}).status_code in {200, 422}


@pytest.mark.parametrize(
    "query",
    [
        "ordering=nonsense", "cursor=made-up", "column=nonsense&column=metrics.", "team=nonsense",
        "group=nonsense", "open=x&open=y", "ordering=metrics.%ED%A0%80",
        "archived=1", "differs=1", "flat=1", "filter=duration+%3E+99999999999999999999999999",
    ],
)  # fmt: skip
def test_an_odd_address_is_a_page(dana: Client, study: Experiment, query: str) -> None:
    assert dana.get(f"/experiments/{study.pk}/?{query}").status_code == 200
    assert dana.get(f"/experiments/runs/?{query}").status_code == 200


def test_an_empty_list_names_the_term_that_emptied_it(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/", {"filter": "params.optimizer = 'adam' AND metrics.auc > 7"})
    assert "Remove metrics.auc &gt; 7" in page.content.decode()
    assert "params.optimizer+%3D+%27adam%27" in page.content.decode()


def test_only_what_differs(dana: Client, study: Experiment) -> None:
    heads = re.findall(r'data-key="([^"]+)"', dana.get(f"/experiments/{study.pk}/?differs=1").content.decode())
    assert {"params.lr", "params.depth", "metrics.auc", "metrics.loss"} <= set(heads)
    assert not {"params.optimizer", "tags.stage"} & set(heads)


def test_columns_are_kept_for_one_person(cast: Cast, dana: Client, study: Experiment) -> None:
    layout = {
        "experiment": study.pk,
        "column": ["params.lr", "metrics.loss", "nonsense", "metrics.\ud7ff", "user"],
        "pinned": ["metrics.loss"],
        "width": ["120 params.lr", "9999 user", "x user", "80 unknown"],
        "kept": "filter=adam&evil=1",
    }
    answer = dana.post("/experiments/columns/keep/", layout)
    assert answer.status_code == 302
    assert answer["Location"] == f"/experiments/{study.pk}/?filter=adam"
    page = dana.get(f"/experiments/{study.pk}/").content.decode()
    assert re.findall(r'data-key="([^"]+)"', page) == [
        "name", "metrics.loss", "params.lr", "metrics.\ud7ff", "user", "started_at",
    ]  # fmt: skip
    assert 'data-width="120"' in page
    other = browser(cast.mira).get(f"/experiments/{study.pk}/").content.decode()
    assert 'data-key="status"' in other
    assert "Let Slipway choose" in dana.get("/experiments/columns/", {"experiment": study.pk}).content.decode()
    moved = dana.post("/experiments/columns/keep/", {**layout, "width": [], "up": "metrics.loss"})
    assert moved["Location"].startswith("/experiments/columns/?filter=adam")
    kept = TablePreference.objects.get(user=cast.dana, experiment_id=study.pk).columns
    assert [item["key"] for item in kept][:2] == ["metrics.loss", "params.lr"]
    dana.post("/experiments/columns/keep/", {**layout, "reset": "1"})
    assert 'data-key="status"' in dana.get(f"/experiments/{study.pk}/").content.decode()
    assert browser(cast.mallory).post("/experiments/columns/keep/", layout).status_code == 404


def test_a_baseline_is_pinned_and_others_say_their_distance(cast: Cast, dana: Client, study: Experiment) -> None:
    answer = dana.post("/experiments/baseline/", {"experiment": study.pk, "run": "1" * 32})
    assert answer.status_code == 302
    page = dana.get(f"/experiments/{study.pk}/").content.decode()
    assert "run-baseline" in page
    assert '<span class="run-delta">+0.3</span>' in page
    assert '<span class="run-delta">−0.1</span>' in page
    dana.post("/experiments/baseline/", {"experiment": study.pk})
    assert "run-baseline" not in dana.get(f"/experiments/{study.pk}/").content.decode()
    other = run_make(experiment_make(cast.pricing))
    assert dana.post("/experiments/baseline/", {"run": other.run_id}).status_code == 404


def test_families_fold_at_the_place_of_their_best(dana: Client, cast: Cast) -> None:
    tree = experiment_make(cast.vision, "tree", main_metric="auc", has_children=True)
    for name, best in (("topa", 0.3), ("topb", 0.9), ("topc", 0.5)):
        top = run_make(tree, name=name, metrics={"auc": 0.1})
        for number in range(3):
            run_make(
                tree,
                name=f"child{name[-1]}{number}",
                parent_run_id=top.run_id,
                metrics={"auc": best - number / 10},
                params={"n": str(number)},
            )
    single = run_make(tree, name="topd", metrics={"auc": 0.6})
    url = f"/experiments/{tree.pk}/"
    page = dana.get(url, {"ordering": "-metrics.auc"}).content.decode()
    assert names(page) == ["topb", "topd", "topc", "topa"]
    assert "3 runs, best 0.9" in page
    assert re.search(r">13</span>\s+runs", page)
    filtered = dana.get(url, {"ordering": "metrics.auc", "filter": "params.n = 1"}).content.decode()
    assert names(filtered) == ["topa", "topc", "topb"]
    assert "run-dim" in filtered
    assert single.name not in filtered
    top = Run.objects.get(name="topb")
    opened = dana.get(url, {"ordering": "-metrics.auc", "open": top.run_id}).content.decode()
    assert names(opened) == ["topb", "childb0", "childb1", "childb2", "topd", "topc", "topa"]
    flat = dana.get(url, {"ordering": "-metrics.auc", "flat": "1"}).content.decode()
    assert len(names(flat)) == 13


def test_a_parent_of_another_team_is_not_shown_and_a_child_stands_for_it(dana: Client, cast: Cast) -> None:
    theirs = run_make(experiment_make(cast.pricing, "theirs"), name="elsewhere")
    ours = experiment_make(cast.vision, "ours", main_metric="auc", has_children=True)
    for number in range(2):
        run_make(ours, name=f"child{number}", parent_run_id=theirs.run_id, metrics={"auc": number / 10})
    for url in (f"/experiments/{ours.pk}/", "/experiments/runs/"):
        page = dana.get(url).content.decode()
        assert names(page) == ["child1"]
        assert "1 run, best 0.1" in page
        assert "elsewhere" not in page
    assert "elsewhere" in browser(cast.pete).get(f"/experiments/{ours.pk}/").content.decode()


def test_the_best_below_a_parent_is_of_the_parents_own_metric(dana: Client, cast: Cast) -> None:
    lowest = {"main_metric": "loss", "main_goal": Experiment.Goal.LOWEST}
    tops = experiment_make(cast.vision, "tops", has_children=True, **lowest)
    top = run_make(tops, name="top", metrics={"loss": 0.9, "auc": 0.1})
    below = experiment_make(cast.vision, "below", main_metric="auc")
    for number in (3, 5):
        run_make(below, parent_run_id=top.run_id, metrics={"loss": number / 10, "auc": number / 7})
    assert "2 runs, best 0.3" in dana.get("/experiments/runs/").content.decode()
    by_metric = dana.get("/experiments/runs/", {"ordering": "-metrics.auc"}).content.decode()
    assert "2 runs, best 0.7143" in by_metric


def test_a_baseline_that_is_no_longer_to_be_seen_is_not_shown(cast: Cast, dana: Client, study: Experiment) -> None:
    dana.post("/experiments/baseline/", {"experiment": study.pk, "run": "1" * 32})
    Run.objects.filter(run_id="1" * 32).update(experiment=experiment_make(cast.pricing))
    assert "run-baseline" not in dana.get(f"/experiments/{study.pk}/").content.decode()


@pytest.mark.parametrize("ordering", ["-metrics.auc", "metrics.auc", "-started_at", "params.n", "name"])
@pytest.mark.parametrize("text", ["", "metrics.auc > 0.15 OR params.n = 2"])
def test_families_are_paged_both_ways(cast: Cast, ordering: str, text: str) -> None:
    from apps.experiments.selectors.families import families_page
    from apps.experiments.selectors.runs import run_query

    tree = experiment_make(cast.vision, "tree", has_children=True)
    for number in range(9):
        top = run_make(tree, name=f"top{number}", metrics={"auc": number / 10} if number % 2 else {})
        for child in range(number % 4):
            value = {"auc": (number * 7 + child * 3) % 10 / 10}
            run_make(tree, name=f"c{number}{child}", parent_run_id=top.run_id, metrics=value, params={"n": str(child)})
    query = run_query(cast.dana, {"ordering": ordering, "filter": text}, tree)
    everything = [one.top.run_id for one in families_page(query, size=50).families]
    order: list[str] = []
    for run in query.page(size=100).rows:
        if run.family not in order:
            order.append(run.family)
    assert everything == order
    pages, page = [], families_page(query, size=2)
    while True:
        pages.append([one.top.run_id for one in page.families])
        if page.next is None:
            break
        page = families_page(query, cursor=page.next, size=2)
    assert [one for shown in pages for one in shown] == everything
    back = [pages[-1]]
    while page.previous:
        page = families_page(query, cursor=page.previous, size=2)
        back.insert(0, [one.top.run_id for one in page.families])
    assert back == pages


def test_groups_count_and_sum_up(dana: Client, study: Experiment) -> None:
    run_make(study, name="bare", metrics={"auc": 0.2})
    page = dana.get(f"/experiments/{study.pk}/", {"group": "params.depth", "metric": ["auc", "loss"]}).content.decode()
    rows = re.findall(r"<tr>.*?</tr>", page.split("<tbody>")[1], re.S)
    plain = [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]
    assert plain == ["5 3 0.7 0.5 0.9 0.8 0.6 1", "3 2 0.7 0.6 0.8 0.8 0.7 0.9", "Not set 1 0.2 0.2 0.2 – – –"]
    assert "filter=params.depth+%3D+%275%27" in page
    assert "params.depth+IS+NULL" in page


def test_new_runs_are_announced_not_put_in(dana: Client, study: Experiment) -> None:
    newest = Run.objects.order_by("-pk")[0].pk
    run_make(study, name="late")
    page = dana.get("/experiments/runs-new/", {"experiment": study.pk, "since": newest}).content.decode()
    assert ">1</span>&nbsp;new run&nbsp;" in page
    for since in ("", "x", "9" * 30, "-1"):
        assert (
            "new run"
            not in dana.get("/experiments/runs-new/", {"experiment": study.pk, "since": since}).content.decode()
        )


def followed(client: Client, url: str) -> tuple[str, str]:
    """What the line above the runs listens to, and the address that it is made of."""
    page = client.get(url).content.decode()
    found = re.search(r'id="runs-fresh"\s+data-live-topic="([^"]*)"[^>]*data-live-fragment="([^"]+)"', page)
    assert found is not None
    return found[1], found[2].replace("&amp;", "&")


def test_the_list_over_all_experiments_announces_new_runs_of_ones_own_teams(
    cast: Cast, dana: Client, study: Experiment
) -> None:
    topic, address = followed(dana, "/experiments/runs/")
    assert topic == "experiments"
    run_make(experiment_make(cast.pricing, "theirs"), name="not hers")
    assert "new run" not in dana.get(address).content.decode()
    run_make(study, name="late")
    page = dana.get(address).content.decode()
    assert ">1</span>&nbsp;new run&nbsp;" in page
    assert 'data-live-topic="experiments"' in page
    assert 'href="/experiments/runs/?"' in page


@pytest.mark.parametrize("query", ["ordering=metrics.auc", "ordering=started_at", "filter=metrics.auc+>+0"])
def test_only_what_came_after_the_page_is_new(
    dana: Client, study: Experiment, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs on further pages, also those that were read into the index later, were there before."""
    monkeypatch.setattr("apps.experiments.views.table.PAGE_SIZE", 1)
    for number in range(3):
        run_make(study, metrics={"auc": 0.1 + number})
    _, address = followed(dana, f"/experiments/{study.pk}/?{query}")
    assert "new run" not in dana.get(address).content.decode()
    run_make(study, metrics={"auc": 5.0})
    assert ">1</span>&nbsp;new run&nbsp;" in dana.get(address).content.decode()


def test_the_first_run_of_an_empty_experiment_is_announced(cast: Cast, dana: Client) -> None:
    empty = experiment_make(cast.vision, "empty")
    topic, address = followed(dana, f"/experiments/{empty.pk}/")
    assert topic == f"experiment:{empty.pk}"
    run_make(empty)
    assert ">1</span>&nbsp;new run&nbsp;" in dana.get(address).content.decode()


def test_the_choice_of_columns_begins_with_those_that_are_shown(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/").content.decode()
    address = re.search(r'href="(/experiments/columns/[^"]*)"', page)
    assert address is not None
    shown = re.findall(r'<th scope="col"[^>]*data-key="([^"]+)"', page)
    chosen = dana.get(address[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'name="column"\s+value="([^"]+)"\s+checked', chosen) == shown[1:]
    assert "Let Slipway choose" not in chosen
    dana.post("/experiments/columns/keep/", {"experiment": study.pk, "column": ["user", "status"]})
    chosen = dana.get(address[1].replace("&amp;", "&")).content.decode()
    assert re.findall(r'name="column"\s+value="([^"]+)"\s+checked', chosen) == ["user", "status"]
    assert "Let Slipway choose" in chosen


def test_completion_offers_what_the_person_may_see(cast: Cast, dana: Client, study: Experiment) -> None:
    run_make(experiment_make(cast.pricing), params={"lrsecret": "hidden"}, metrics={"aucsecret": 1.0})

    def offered(text: str, caret: int | None = None, **more: str) -> list[str]:
        query = {"text": text, "caret": str(len(text) if caret is None else caret), **more}
        found = dana.get("/experiments/complete/", query)
        assert found.status_code == 200
        return [one["text"] for one in json.loads(found.content)["options"]]

    assert offered("metrics.a") == ["metrics.auc"]
    assert "params.lr" in offered("metrics.auc > 1 AND lr")
    assert "lrsecret" not in str(offered("params.lr"))
    assert offered("params.lrsecret = ") == []
    assert offered("params.optimizer = ") == ["'adam'"]
    assert offered("params.optimizer = 'a") == ["'adam'"]
    assert offered("status = fin") == ["'FINISHED'"]
    assert "last 7 days" in offered("start_time > ")
    assert offered("metrics.auc ")[0] == "= "
    assert offered("experiment = 'vis") == ["'vision/digits/cnn'"]
    assert offered("du")[:1] == ["duration"]
    assert offered("metrics.auc > 1", caret=9) == ["metrics.auc"]
    assert offered("params.lr = ", experiment=study.pk) == ["'0.1'", "'0.2'", "'0.3'", "'0.4'", "'0.5'"]
    for odd in ("'", "`", "metrics.`a", "(" * 50, "%", "params.\\ = "):
        offered(odd)
    assert dana.get("/experiments/complete/", {"experiment": "nothere"}).status_code == 404


def test_hostile_names_stay_text(cast: Cast, dana: Client) -> None:
    study = experiment_make(cast.vision, "<img src=x>/<script>alert(1)</script>")
    run_make(
        study, name="<script>x</script>", params={"<b>": "<i>" * 2000}, metrics={"<u>": 1.0}, note="<svg onload=1>"
    )
    for url in (
        f"/experiments/{study.pk}/",
        f"/experiments/{study.pk}/?differs=1",
        "/experiments/runs/",
        "/experiments/",
    ):
        page = dana.get(url).content.decode()
        for markup in ("<script>x", "<script>alert", "<i>", "<u>", "<b>", "<svg onload", "<img src=x"):
            assert markup not in page


def test_a_page_says_what_its_runs_used(dana: Client, study: Experiment) -> None:
    cache.clear()
    Run.objects.filter(experiment=study).update(core_seconds=3600)
    Run.objects.filter(run_id="1" * 32).update(status="FAILED")
    page = dana.get(f"/experiments/{study.pk}/").content.decode()
    assert "5 core hours, 20 % by failed runs" in page
