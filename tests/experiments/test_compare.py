"""Runs side by side, against a real MLflow server."""

import math
from typing import Any

import pytest

from apps.experiments.comparison import lower_is_better, packages_of
from tests.experiments.factories import run_make
from tests.experiments.run_making import Study, browser_of, study_make
from tests.experiments.test_artifacts import PNG

pytestmark = [pytest.mark.django_db]
PAGE, EXTRAS = "/experiments/compare/", "/experiments/compare/extras/"


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


def compared(user: Any, *runs: str, page: str = PAGE, **more: str) -> tuple[Any, str]:
    answer = browser_of(user).get(page, {"run": list(runs), **more})
    return answer, " ".join(answer.content.decode().split())


def section_of(answer: Any, key: str) -> Any:
    return next(section for section in answer.context["sections"] if section.key == key)


def test_differences_come_first_with_the_best_marked_and_told_against_the_baseline(study: Study, people: Any) -> None:
    first = study.run(name="base", metrics={"auc": 0.90, "loss": 0.30}, params={"lr": "0.1", "a": "1"}, tags={"k": "x"})
    second = study.run(
        name="better", metrics={"auc": 0.95, "loss": 0.40}, params={"lr": "0.2", "a": "1"}, tags={"k": "x"}
    )
    answer, shown = compared(people.dana, first, second)
    assert answer.status_code == 200
    params = section_of(answer, "params")
    assert [(row.key, row.differs) for row in params.rows] == [("lr", True), ("a", False)]
    auc, loss = section_of(answer, "metrics").rows
    assert [cell.best for cell in auc.cells] == [False, True]
    assert auc.cells[1].difference == "+0.05"
    assert (loss.better, [cell.best for cell in loss.cells]) == ("lowest", [True, False])
    assert not any(row.differs for row in section_of(answer, "tags").rows)
    assert "Baseline" in shown
    assert f"?run={second}&amp;run={first}" in shown
    _, differing = compared(people.dana, first, second, differs="1")
    assert '<th class="cell-name" scope="row">lr' in differing
    assert '<th class="cell-name" scope="row">a<' not in differing.replace("a </th>", "a<")


def test_data_sets_and_code_are_compared(study: Study, people: Any) -> None:
    runs = []
    for digest in ("one", "two"):
        run_id = study.run(tags={"mlflow.source.git.commit": digest * 10, "mlflow.source.name": "train.py"})
        dataset = {"name": "churn", "digest": digest, "source_type": "local", "source": "{}"}
        study.tracker.ask("runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": []}])
        runs.append(run_id)
    answer, _ = compared(people.dana, *runs)
    assert [cell.text for cell in section_of(answer, "datasets").rows[0].cells] == ["one", "two"]
    code = {row.key: row.differs for row in section_of(answer, "code").rows}
    assert code == {"Commit": True, "Started from": False}


def test_nan_and_infinity_are_compared_and_never_best_by_accident(study: Study, people: Any) -> None:
    first = study.run(metrics={"auc": "NaN", "same": "NaN"})
    second = study.run(metrics={"auc": 0.5, "same": "NaN"})
    third = study.run(metrics={"auc": 0.4, "same": "NaN"})
    answer, _ = compared(people.dana, first, second, third)
    rows = {row.key: row for row in section_of(answer, "metrics").rows}
    assert [cell.best for cell in rows["auc"].cells] == [False, True, False]
    assert math.isnan(rows["auc"].cells[0].value)
    assert rows["auc"].cells[1].difference == ""
    assert not rows["same"].differs


def test_a_hidden_run_is_a_run_that_is_not_there(study: Study, people: Any, tracker: Any) -> None:
    hidden = study_make(tracker, people.pricing).run(name="their-secret-name")
    first, second = study.run(), study.run()
    told = []
    for other in (hidden, "f" * 32):
        answer, shown = compared(people.dana, first, other, second)
        assert answer.status_code == 200
        assert "Not found, or not shared with you" in shown
        assert "their-secret-name" not in shown
        told.append((answer.status_code, len(answer.context["columns"])))
    assert told[0] == told[1]
    assert compared(people.dana, hidden)[0].status_code == 404
    assert compared(people.dana, first, hidden, page=EXTRAS)[0].status_code == 404
    assert compared(people.mallory, first, second)[0].status_code == 404


def test_fewer_than_two_offer_others_and_more_than_twenty_are_refused(study: Study, people: Any) -> None:
    first, second = study.run(name="one"), study.run(name="other")
    answer, shown = compared(people.dana, first, first)
    assert answer.status_code == 200
    assert f"?run={first}&amp;run={second}" in shown
    assert "Choose 2 to 20 runs" in compared(people.dana)[1]
    answer, shown = compared(people.dana, *(f"{n:032}" for n in range(21)))
    assert answer.status_code == 422
    assert "At most 20 runs" in shown


def test_twenty_runs_are_compared_in_few_queries(study: Study, people: Any, django_assert_max_num_queries: Any) -> None:
    runs = [study.run(metrics={"auc": n / 20}, params={"n": str(n)}) for n in range(20)]
    browser = browser_of(people.dana)
    with django_assert_max_num_queries(40):
        answer = browser.get(PAGE, {"run": runs})
    assert len(answer.context["columns"]) == 20


def test_requirements_of_models_and_pictures_of_the_same_path(study: Study, people: Any) -> None:
    runs = []
    for version in ("1.5.0", "1.6.1"):
        run_id = study.run()
        study.model(run_id, {"requirements.txt": f"scikit-learn=={version}\nnumpy==2.0\n# x\n".encode()})
        study.put(run_id, {"plots/roc.png": PNG, f"only-{version}.png": PNG})
        runs.append(run_id)
    answer, shown = compared(people.dana, *runs, page=EXTRAS)
    assert answer.status_code == 200
    assert [(row.key, row.differs) for row in answer.context["requirements"].rows] == [
        ("scikit-learn", True),
        ("numpy", False),
    ]
    assert [picture["path"] for picture in answer.context["pictures"]] == ["plots/roc.png"]
    assert shown.count("path=plots%2Froc.png&amp;show=1") == 4


def test_without_mlflow_the_index_is_compared(study: Study, people: Any, settings: Any) -> None:
    runs = [run_make(study.experiment, metrics={"auc": value}).run_id for value in (0.1, 0.2)]
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    answer, shown = compared(people.dana, *runs)
    assert answer.status_code == 200
    assert "does not answer" in shown
    assert section_of(answer, "metrics").rows[0].cells[1].best
    assert "does not answer" in compared(people.dana, *runs, page=EXTRAS)[1]


@pytest.mark.parametrize(
    ("key", "lower"),
    [
        ("loss", True),
        ("val_loss", True),
        ("test.rmse", True),
        ("auc", False),
        ("glossary", False),
        ("error_rate", True),
    ],
)
def test_which_way_is_better(key: str, lower: bool) -> None:
    assert lower_is_better(key, {}) is lower
    assert lower_is_better(key, {key: "max"}) is False


def test_packages_are_read_from_requirements_and_locks() -> None:
    text = "# made\nNumpy_X==1.2 \\\n    --hash=sha256:ab\npandas[all]>=2\n-r more.txt\nplain\n"
    assert packages_of(text) == {"numpy-x": "1.2", "pandas": "2", "plain": "any"}


def test_a_model_and_an_environment_are_compared_by_what_both_name() -> None:
    from apps.experiments.comparison import requirements_section

    lock, model = {"numpy": "2.0", "pandas": "2.2", "tornado": "6"}, {"numpy": "2.1"}
    assert [row.key for row in requirements_section([lock, model], alike=False).rows] == ["numpy"]
    assert requirements_section([lock, model]).total == 3
