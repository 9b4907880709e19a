"""What the pages of runs say: alignment, grouping by a bare name, tags that cannot be, packages that are not known."""

import re
from typing import Any

import pytest
from django.test import Client

from apps.experiments.comparison import requirements_section, source_said
from apps.experiments.gateway.run_detail import DatasetUsed
from apps.experiments.models import Experiment
from apps.experiments.views.run_presenting import dataset_from
from tests.cast import Cast, browser, cast_make
from tests.experiments.factories import experiment_make, run_make
from tests.experiments.run_making import study_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def dana(cast: Cast) -> Client:
    return browser(cast.dana)


@pytest.fixture
def study(cast: Cast) -> Experiment:
    study = experiment_make(cast.vision)
    for number in range(3):
        params = {"lr": f"0.0{number + 1}", "kind": "tree" if number else "7"}
        run_make(study, run_id=str(number) * 32, params=params, metrics={"auc": 0.5 + number / 10})
    return study


def test_heads_of_parameters_stand_where_their_numbers_do(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/?column=params.lr&column=params.kind&column=metrics.auc&column=status")
    heads = re.findall(r'<th scope="col" data-key="([^"]+)" class="([^"]*)"', page.content.decode())
    # One text among the values, and the head stands left with it.
    assert dict(heads) == {
        "name": "cell-name",
        "params.lr": "cell-num",
        "params.kind": "",
        "metrics.auc": "cell-num",
        "status": "",
        "started_at": "",
    }


def test_a_bare_name_groups_by_the_parameter(dana: Client, study: Experiment) -> None:
    page = dana.get(f"/experiments/{study.pk}/?group=kind&metric=auc")
    assert {row["value"]: row["count"] for row in page.context["groups"]} == {"tree": 2, "7": 1}
    shown = page.content.decode()
    assert 'data-label="auc mean"' in shown
    assert "Show runs" in shown
    assert "Not grouped" not in shown


@pytest.mark.parametrize("asked", ["status", "metrics.auc"])
def test_what_cannot_be_grouped_by_is_said(dana: Client, study: Experiment, asked: str) -> None:
    shown = dana.get(f"/experiments/{study.pk}/?group={asked}").content.decode()
    assert "Runs are grouped by a parameter or a tag" in shown
    assert "Not grouped" not in dana.get(f"/experiments/{study.pk}/?group=").content.decode()


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("mlflow.runName", "x", "Tags that begin with mlflow. or slipway. are not written by hand."),
        ("<b>", "x", "holds letters, digits, spaces and _ - . : / only"),
        ("k" * 251, "x", "The name of a tag has at most 250 characters; this has 251."),
        ("good", "x" * 5001, "A tag has at most 5000 characters; this has 5001."),
    ],
)
def test_a_tag_that_cannot_be_is_told_why(dana: Client, study: Experiment, key: str, value: str, told: str) -> None:
    body = {"action": "tag", "run": ["0" * 32], "key": key, "value": value, "experiment": study.pk}
    assert told in dana.post("/experiments/bulk/", body, follow=True).content.decode()


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_selected_runs_make_a_file(dana: Client, cast: Cast, study: Experiment, form: str) -> None:
    chosen = ["0" * 32, "2" * 32]
    body = {"action": f"export-{form}", "run": chosen, "experiment": study.pk, "kept": "ordering=-metrics.auc"}
    answer = dana.post("/experiments/bulk/", body, follow=True)
    assert answer["Content-Disposition"].endswith(f'.{form}"')
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    if form == "csv":
        assert [line.split(",")[0] for line in content.decode().splitlines()] == ["run_id", "2" * 32, "0" * 32]
    assert browser(cast.mallory).post("/experiments/bulk/", body).status_code == 404
    page = dana.get(f"/experiments/{study.pk}/").content.decode()
    assert f'value="export-{form}"' in page


def test_more_selected_runs_than_a_file_takes_are_told(dana: Client, study: Experiment) -> None:
    ids = [run_make(study).run_id for _ in range(101)]
    body = {"action": "export-csv", "run": ids[:100], "experiment": study.pk}
    answer = dana.post("/experiments/bulk/", body, follow=True)
    assert len(b"".join(answer.streaming_content).splitlines()) == 101  # type: ignore[attr-defined]
    more = dana.post("/experiments/bulk/", {**body, "run": ids}, follow=True)
    assert "At most 100 selected runs make a file" in more.content.decode()


def test_a_run_whose_packages_are_not_known_differs_from_none() -> None:
    section = requirements_section([{}, {"numpy": "2.0", "scipy": "1.1"}, {"numpy": "2.0"}])
    rows = {row.key: (row.differs, [cell.text for cell in row.cells]) for row in section.rows}
    assert rows == {"numpy": (False, ["–", "2.0", "2.0"]), "scipy": (True, ["–", "1.1", "not there"])}
    assert section.differing == 1
    assert all(row.cells[0].same and row.cells[1].same for row in section.rows)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/venv/lib/python3.11/site-packages/ipykernel_launcher.py", "a notebook"),
        ("/home/dana/churn/train.py", "train.py"),
        ("C:\\churn\\train.py", "train.py"),
        ("demo workspace", "demo workspace"),
        ("https://example.org/", "https://example.org/"),
        ("", ""),
    ],
)
def test_what_a_run_was_started_from_is_said_without_folders(name: str, said: str) -> None:
    assert source_said(name) == said


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("s3", '{"uri": "s3://wine/raw.parquet"}', "s3://wine/raw.parquet"),
        ("hf", '{"path": "wine", "revision": "x"}', "wine"),
        ("code", '{"tags": {"mlflow.user": "slipway"}}', "made in the code"),
        ("local", "no json", "no json"),
        ("local", '["a"]', '["a"]'),
        ("sql", "", "sql"),
    ],
)
def test_a_data_set_is_said_by_its_address(kind: str, source: str, said: str) -> None:
    assert dataset_from(DatasetUsed("wine", "d1", kind, source, "training")) == said


def test_who_has_nothing_to_compare_is_led_to_the_runs(dana: Client, study: Experiment) -> None:
    shown = dana.get("/experiments/compare/").content.decode().partition("Choose 2 to 20 runs")[2]
    assert 'href="/experiments/runs/"' in shown


def test_who_has_no_runs_yet_is_led_to_a_notebook(dana: Client, cast: Cast) -> None:
    experiment = experiment_make(cast.vision)
    for address in ("/experiments/", f"/experiments/{experiment.pk}/"):
        Experiment.objects.filter(pk=experiment.pk).update(archived=address == "/experiments/")
        assert 'href="/environments/launch/"' in dana.get(address).content.decode().partition("No runs yet")[2]


def test_who_may_not_write_a_note_reads_it(tracker: Any, cast: Cast) -> None:
    study = study_make(tracker, cast.vision)
    address = f"/experiments/runs/{study.run(tags={'mlflow.note.content': '**best**'})}/note/"
    shown = browser(cast.ada).get(address).content.decode()
    assert "<strong>best</strong>" in shown
    assert "<textarea" not in shown
    assert "<textarea" in browser(cast.dana).get(address).content.decode()


def test_a_model_that_a_run_logged_does_not_say_first_points(tracker: Any, cast: Cast) -> None:
    study = study_make(tracker, cast.vision)
    run_id = study.run()
    model_id = study.model(run_id, {"MLmodel": b"flavors: {}\n"})
    began = 1_790_000_000_000
    of = {"run_id": run_id, "model_id": model_id, "timestamp": began, "step": 0}
    study.tracker.ask("runs/log-metric", key="loss", value=0.984375, **of)
    study.tracker.ask("runs/log-metric", key="accuracy", value=0.515625, **of)
    study.tracker.ask("runs/log-metric", key="loss", value=0.25, run_id=run_id, timestamp=began + 1000, step=9)
    shown = browser(cast.dana).get(f"/experiments/runs/{run_id}/").content.decode().partition('id="models-title"')[2]
    assert "0.5156" in shown
    assert "0.9844" not in shown
