"""Names, values and files that mean harm are text on every page, and no page gives up over them."""

import csv
import io
import json
import secrets
from typing import Any
from urllib.parse import urlencode

import pytest

from apps.experiments.filters import filter_parse, filter_q
from apps.experiments.models import Run
from tests.experiments.factories import experiment_make, run_make
from tests.experiments.hostile import FILES, FORMULAS, LONG, MARKUP, METRICS, PARAMS, TAGS, TURNED, markup_in
from tests.experiments.run_making import Study, browser_of, study_make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


@pytest.fixture
def run(study: Study) -> Run:
    """A run with everything, and a second one to hold beside it."""
    run_id = study.run(name=f"{TURNED} {MARKUP}", params=PARAMS, metrics=METRICS, tags=TAGS)
    dataset = {"name": MARKUP, "digest": "ab12", "source_type": "local", "source": json.dumps({"uri": MARKUP})}
    tags = [{"key": "mlflow.data.context", "value": MARKUP}]
    study.tracker.ask("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": tags}])
    study.put(run_id, {name.replace("%", "%25").replace(" ", "%20"): content for name, content in FILES.items()})
    study.run(name="beside", params={"long": "short", "a.b c/d: e": "4"}, metrics={"a metric/of: x": 0.75})
    return study.row(run_id)


def addresses(run: Run, other: str) -> list[str]:
    at, runs = f"/experiments/runs/{run.run_id}/", f"run={run.run_id}&run={other}"
    here = f"/experiments/{run.experiment_id}/"
    odd = [f"params.{key}" for key in PARAMS] + [f"metrics.{key}" for key in METRICS] + ["tags.about: x / y"]
    return [
        at,
        "/experiments/",
        "/experiments/?" + urlencode({"q": MARKUP}),
        "/experiments/runs/",
        here,
        here + "?" + urlencode({"column": odd}, doseq=True),
        *(f"{here}?{urlencode({'ordering': f'-{key}', 'column': key, 'group': key})}" for key in odd),
        here + "?" + urlencode({"filter": "params.`a.b c/d: e` > 3 OR tags.`about: x / y` LIKE '%<img%'"}),
        here + "?" + urlencode({"filter": f"params.markup = '{MARKUP.replace(chr(39), chr(39) * 2)}'"}),
        "/experiments/complete/?" + urlencode({"text": "params.", "experiment": run.experiment_id}),
        *(f"{at}{tab}/" for tab in ("metrics", "artifacts", "traces", "lineage", "recreate")),
        *(f"{at}artifacts/?path={name.replace('&', '%26')}" for name in FILES),
        f"{at}artifacts/tree/",
        f"/experiments/compare/?{runs}",
        f"/experiments/compare/extras/?{runs}",
        f"/experiments/{run.experiment_id}/charts/",
        f"/experiments/{run.experiment_id}/charts/?{runs}",
        f"/experiments/{run.experiment_id}/charts/values/?{runs}",
        f"/experiments/charts/curves/?{runs}&metric=nothing&metric=endless",
    ]


def no_json(name: str) -> None:
    pytest.fail(f"{name} is no JSON: a browser cannot read it")


def test_every_page_shows_it_as_text(run: Run, people: Any) -> None:
    other = Run.objects.exclude(pk=run.pk).get().run_id
    browser = browser_of(people.dana)
    for address in addresses(run, other):
        answer = browser.get(address)
        page = b"".join(answer.streaming_content) if answer.streaming else answer.content
        assert answer.status_code == 200, (address, answer.status_code, page[:300])
        assert answer["X-Content-Type-Options"] == "nosniff"
        if answer["Content-Type"].startswith("text/html"):
            assert markup_in(page.decode()) == [], address
        else:
            assert answer["Content-Type"].startswith("application/json"), address
            json.loads(page, parse_constant=no_json)


def test_a_filter_that_is_none_is_said_with_its_own_words_as_text(run: Run, people: Any) -> None:
    answer = browser_of(people.dana).get(f"/experiments/{run.experiment_id}/", {"filter": MARKUP})
    assert (answer.status_code, markup_in(answer.content.decode())) == (422, [])


def test_a_spreadsheet_computes_nothing_of_what_was_logged(run: Run, people: Any) -> None:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers."""
    for more in ("", f"experiment={run.experiment_id}"):
        answer = browser_of(people.dana).get(f"/experiments/export/?format=csv&{more}")
        text = b"".join(answer.streaming_content).decode()
        assert answer.status_code == 200
        head, *rows = list(csv.reader(io.StringIO(text, newline="")))
        hostile = next(dict(zip(head, row, strict=True)) for row in rows if row[0] == run.run_id)
        for number, formula in enumerate(FORMULAS):
            assert hostile[f"params.formula {number}"] == f"'{formula}"
        assert hostile["params.a.b c/d: e"] == "3"
        assert hostile["params.long"] == LONG
        cells = [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
        assert all(float(cell) is not None for cell in cells), cells


def test_infinite_and_missing_values_have_words(run: Run, people: Any) -> None:
    page = browser_of(people.dana).get(f"/experiments/runs/{run.run_id}/").content.decode()
    for word in ("NaN", "∞"):
        assert word in page, word


def test_a_long_parameter_is_whole_in_its_file_and_cut_in_the_page_until_asked_for(run: Run, people: Any) -> None:
    assert run.params.get(key="long").value == LONG
    assert len(LONG) == 6000
    page = browser_of(people.dana).get(f"/experiments/runs/{run.run_id}/").content.decode()
    assert "xxxxxxxxxx" in page


def test_ten_thousand_metrics_in_one_run(study: Study, people: Any) -> None:
    run_id = study.run(metrics={f"metric-{number:05d}": number for number in range(10_000)})
    assert study.row(run_id).metrics.count() == 10_000
    browser = browser_of(people.dana)
    for tab in ("", "metrics/", "lineage/"):
        answer = browser.get(f"/experiments/runs/{run_id}/{tab}")
        assert answer.status_code == 200
        assert len(answer.content) < 3_000_000, f"{tab}: {len(answer.content)} bytes"


@pytest.mark.parametrize(
    "path", ["../../x", "a/../../x", "..%2f..%2fx", "%2e%2e/x", "/etc/passwd", "a\\..\\..\\x", "x\0", "\udcff"]
)
def test_a_path_out_of_the_runs_folder_is_refused_with_a_sentence(run: Run, people: Any, path: str) -> None:
    browser = browser_of(people.dana)
    for what in ("artifacts", "artifacts/tree", "artifacts/file", "artifacts/frame"):
        answer = browser.get(f"/experiments/runs/{run.run_id}/{what}/", {"path": path.encode("utf-8", "surrogatepass")})
        nothing = what == "artifacts/tree" and b"<a" not in answer.content
        assert answer.status_code in (400, 404, 422) or nothing, (what, answer.status_code)
        assert b"root:" not in answer.content


def test_a_name_that_climbs_placed_in_the_store_itself_stays_in_its_folder(study: Study, people: Any) -> None:
    """Somebody with the disk may name a file as if it lay elsewhere, or let one lead elsewhere."""
    run_id = study.run()
    study.put(run_id, {"fine.txt": b"fine"})
    folder = study.server.folder / "artifacts" / study.experiment.pk / run_id / "artifacts"
    secret = f"secret-{secrets.token_hex(4)}"
    (folder.parents[2] / "outside.txt").write_text(secret)
    for name in ("..%2f..%2foutside.txt", "..\\..\\outside.txt", "%2e%2e", "new\nline", "..."):
        (folder / name).write_text("inside")
    browser = browser_of(people.dana)
    page = browser.get(f"/experiments/runs/{run_id}/artifacts/")
    assert page.status_code == 200
    for name in (
        "..%2f..%2foutside.txt",
        "..%252f..%252foutside.txt",
        "..\\..\\outside.txt",
        "%2e%2e",
        "new\nline",
        "...",
    ):
        for what in ("artifacts", "artifacts/file"):
            answer = browser.get(f"/experiments/runs/{run_id}/{what}/", {"path": name})
            assert answer.status_code in (200, 400, 404, 422), (what, name, answer.status_code)
            assert secret.encode() not in answer.content


def test_a_key_with_quotes_and_backticks_in_the_index(people: Any) -> None:
    """MLflow refuses such keys today; an older one did not."""
    keys = ("it's", 'a "quoted" key', "a `ticked` key", "back\\slash", "100%", MARKUP[:200])
    experiment = experiment_make(people.vision)
    run = run_make(experiment, tags=dict.fromkeys(keys, "x"), params=dict.fromkeys(keys, "1"))
    browser = browser_of(people.dana)
    for key in keys:
        for mark in '"`':
            quoted = mark + key.replace(mark, mark * 2) + mark
            node = filter_parse(f"tags.{quoted} = 'x' AND params.{quoted} = 1")
            assert filter_parse(str(node)) == node
            assert list(Run.objects.filter(filter_q(node))) == [run], key
    answer = browser.get(f"/experiments/{experiment.pk}/charts/values/?run={run.run_id}")
    assert answer.status_code == 200
