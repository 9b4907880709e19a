"""The page of one run, against a real MLflow server."""

from typing import Any

import pytest

from apps.audit.models import AuditEvent
from apps.experiments.models import Run
from tests.experiments.run_making import Study, browser_of, study_make

pytestmark = [pytest.mark.django_db]
TABS = ("", "metrics/", "metrics/ranges/", "artifacts/", "traces/", "lineage/", "recreate/", "note/")


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


@pytest.fixture
def away(settings: Any) -> Any:
    def go() -> None:
        settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"

    return go


def page(user: Any, run_id: str, tab: str = "", **asked: Any) -> Any:
    return browser_of(user).get(f"/experiments/runs/{run_id}/{tab}", asked)


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_everything_that_was_logged_is_on_the_page(study: Study, people: Any) -> None:
    run_id = study.run(
        name="lr-0.01",
        metrics={"auc": 0.913, "loss": 0.25, "system/cpu_utilization_percentage": 41.0},
        params={"lr": "0.01", "depth": "3"},
        tags={
            "stage": "candidate",
            "mlflow.note.content": "# Better\n\n**bold**",
            "mlflow.source.git.commit": "ab" * 20,
        },
    )
    study.tracker.ask(
        "runs/log-inputs",
        run_id=run_id,
        datasets=[
            {
                "dataset": {"name": "churn.csv", "digest": "d1g35t", "source_type": "local", "source": "{}"},
                "tags": [{"key": "mlflow.data.context", "value": "training"}],
            }
        ],
    )
    model_id = study.model(run_id, {"MLmodel": b"flavors: {}\n"})
    shown = text_of(page(people.dana, run_id))
    for words in (
        "lr-0.01", "0.913", "0.25", "cpu_utilization_percentage", "depth", "candidate", "<strong>bold</strong>",
        "abababababab", "churn.csv", "d1g35t", "training", "Finished", study.experiment.name, "Vision",
        f"model={model_id}", "Register",
    ):  # fmt: skip
        assert words in shown, words


@pytest.mark.parametrize("tab", TABS)
def test_a_stranger_finds_none_of_its_pages_and_an_auditor_all(study: Study, people: Any, tab: str) -> None:
    run_id = study.run(metrics={"auc": 0.9})
    assert page(people.mallory, run_id, tab).status_code == 404
    assert page(people.mallory, "0" * 32, tab).status_code == 404
    assert page(people.ada, run_id, tab).status_code == 200
    assert page(people.dana, run_id, tab).status_code == 200


def test_a_run_that_the_index_has_not_met_yet_is_found_at_mlflow(study: Study, people: Any) -> None:
    run_id = study.run(indexed=False, name="fresh", end=None)
    assert page(people.mallory, run_id).status_code == 404
    assert not Run.objects.filter(run_id=run_id).exists()
    assert "fresh" in text_of(page(people.dana, run_id))
    assert Run.objects.filter(run_id=run_id).exists()


@pytest.mark.parametrize("tab", TABS)
def test_without_mlflow_the_page_shows_what_the_index_knows(study: Study, people: Any, away: Any, tab: str) -> None:
    run_id = study.run(name="kept", metrics={"auc": 0.913, "odd": "Infinity"}, params={"lr": "0.01"})
    away()
    answer = page(people.dana, run_id, tab)
    assert answer.status_code == 200
    shown = text_of(answer)
    assert "does not answer" in shown
    if not tab:
        assert "0.913" in shown
        assert "0.01" in shown
    assert page(people.mallory, run_id, tab).status_code == 404


def test_a_run_that_mlflow_lost_says_so(study: Study, people: Any) -> None:
    from tests.experiments.factories import run_make

    row = run_make(study.experiment, metrics={"auc": 0.5})
    shown = text_of(page(people.dana, row.run_id))
    assert "MLflow has no such run any more" in shown
    assert "0.5" in shown


def test_markup_and_odd_values_are_text(study: Study, people: Any) -> None:
    bad = "<img src=x onerror=alert(1)>"
    long = "x" * 6000
    run_id = study.run(name=bad, params={"p": bad, "long": long}, tags={"t": bad, "mlflow.note.content": bad})
    study.tracker.log(run_id, metrics={"nan": "NaN", "up": "Infinity", "down": "-Infinity"})
    shown = text_of(page(people.dana, run_id))
    assert bad not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert "6000 characters" in shown
    for word in ("NaN", "∞", "−∞"):
        assert word in shown


def test_ten_thousand_metrics_are_paged_and_found_by_name(study: Study, people: Any) -> None:
    run_id = study.run(indexed=False)
    study.tracker.log(run_id, metrics={f"layer.{n:05}": float(n) for n in range(10_000)})
    study.row(run_id)
    shown = text_of(page(people.dana, run_id))
    assert "All 10,000 metrics" in shown
    assert shown.count("layer.") < 200
    listed = text_of(page(people.dana, run_id, "metrics/", page="200"))
    assert "9,951 to 10,000 of 10,000" in listed
    found = text_of(page(people.dana, run_id, "metrics/", q="LAYER.0123"))
    assert "layer.01239" in found
    assert "layer.00001" not in found
    assert "No metric of this name" in text_of(page(people.dana, run_id, "metrics/", q="\ud7ffnothing"))


def test_a_metric_says_how_low_and_high_it_was(study: Study, people: Any) -> None:
    run_id = study.run()
    for step, value in enumerate((0.7, 0.2, 0.5)):
        study.tracker.log(run_id, metrics={"loss": value}, step=step)
    answer = page(people.dana, run_id, "metrics/ranges/", q="loss")
    shown = text_of(answer)
    assert 'value="0.2"' in shown
    assert 'value="0.7"' in shown
    assert 'value="0.5"' in shown
    assert "<html" not in shown


def test_an_environment_is_offered_again_where_the_run_had_one(study: Study, people: Any) -> None:
    offered = "Recreate environment"
    assert offered not in page(people.dana, study.run()).content.decode()
    stamped = study.run(tags={"slipway.environment_id": "0b9fca4c-2f4c-4d0c-a5a1-5e1a4c5f4d11"})
    assert offered in page(people.dana, stamped).content.decode()


def test_the_note_is_written_by_members_and_kept_at_mlflow(study: Study, people: Any) -> None:
    run_id = study.run()
    address = f"/experiments/runs/{run_id}/note/"
    answer = browser_of(people.dana).post(address, {"note": "Best so far\r\n* try 0.02"})
    assert (answer.status_code, answer["Location"]) == (302, f"/experiments/runs/{run_id}/")
    tags = {tag["key"]: tag["value"] for tag in study.tracker.get(run_id)["data"]["tags"]}
    assert tags["mlflow.note.content"] == "Best so far\n* try 0.02"
    assert Run.objects.get(run_id=run_id).note.startswith("Best so far")
    assert AuditEvent.objects.filter(action="experiments:run:note-written").count() == 1
    assert browser_of(people.ada).post(address, {"note": "mine"}).status_code == 403
    assert browser_of(people.mallory).post(address, {"note": "mine"}).status_code == 404
    assert browser_of(people.dana).post(address, {"note": "x" * 20_001}).status_code == 422


def test_a_note_is_not_lost_where_mlflow_is_away(study: Study, people: Any, away: Any) -> None:
    run_id = study.run()
    away()
    answer = browser_of(people.dana).post(f"/experiments/runs/{run_id}/note/", {"note": "hold this"})
    assert answer.status_code == 503
    assert "hold this" in text_of(answer)


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "//evil.example",
    ],
)
def test_links_of_a_note_lead_to_pages_only(address: str) -> None:
    from apps.experiments.markdown import markdown_html

    assert "href" not in markdown_html(f"[x]({address})")
    assert "<img" not in markdown_html(f"![x]({address})")
    assert "<script" not in markdown_html("<script>1</script>")


def test_parent_and_children_lead_to_one_another(study: Study, people: Any) -> None:
    parent = study.run(name="sweep")
    child = study.run(name="trial-1", tags={"mlflow.parentRunId": parent})
    study.run(name="trial-2", tags={"mlflow.parentRunId": parent})
    shown = text_of(page(people.dana, parent))
    assert "trial-1" in shown
    assert "/experiments/compare/?run=" in shown
    assert "sweep" in text_of(page(people.dana, child))


def test_traces_of_the_run_are_listed(study: Study, people: Any) -> None:
    run_id = study.run()
    for number, (state, of) in enumerate((("OK", run_id), ("ERROR", study.run()))):
        info = {
            "trace_id": f"tr-{run_id[:24]}{number}",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT",
                "mlflow_experiment": {"experiment_id": study.experiment.pk},
            },
            "request_time": "2026-11-01T10:00:00Z",
            "execution_duration": "1.5s",
            "state": state,
            "request_preview": f"<b>asked {number}</b>",
            "response_preview": "answered",
            "trace_metadata": {"mlflow.sourceRun": of},
            "tags": {"mlflow.traceName": f"predict-{number}"},
        }
        answer = study.server.direct("POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": info}})
        assert answer.status_code == 200, answer.text
    shown = text_of(page(people.dana, run_id, "traces/"))
    for words in ("predict-0", "&lt;b&gt;asked 0&lt;/b&gt;", "answered", "Done", "2 s"):
        assert words in shown, words
    assert "predict-1" not in shown
    assert "No traces" in text_of(page(people.dana, study.run(), "traces/"))


def test_a_run_with_very_many_metrics_is_kept_until_something_of_it_changes(
    study: Study, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from apps.experiments.views import run_finding

    run_id = study.run(indexed=False)
    study.tracker.log(run_id, metrics={f"m{n}": float(n) for n in range(1001)})
    study.row(run_id)
    asked: list[str] = []
    real = run_finding.run_read
    monkeypatch.setattr(run_finding, "run_read", lambda one: asked.append(one) or real(one))
    for tab in ("", "metrics/", "lineage/"):
        assert page(people.dana, run_id, tab).status_code == 200
    assert len(asked) == 1
    browser_of(people.dana).post(f"/experiments/runs/{run_id}/note/", {"note": "seen at once"})
    assert "seen at once" in text_of(page(people.dana, run_id))
    assert len(asked) == 2


def test_headings_of_a_note_leave_no_gap() -> None:
    from apps.experiments.markdown import markdown_html

    html = markdown_html("## One\n\n#### Two\n\n## Three\n\n# Four")
    assert [html[place + 1 : place + 3] for place in range(len(html)) if html[place : place + 2] == "<h"] == [
        "h3",
        "h4",
        "h3",
        "h3",
    ]
