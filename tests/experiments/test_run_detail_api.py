"""The API's actions on one run, against a real MLflow server."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.environments.models import Environment
from tests.experiments.run_making import Study, study_make
from tests.experiments.test_recreate import COMMIT, environment_of, now_ms, tags_of

pytestmark = [pytest.mark.django_db]
ACTIONS = ("artifacts", "lineage", "recreate", "artifacts/download")


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def study(tracker: Any, people: Any) -> Study:
    return study_make(tracker, people.vision)


@pytest.fixture
def api() -> Any:
    """Asks as somebody: `api(person, "get", run_id, "artifacts", path="a")`."""
    from apps.accounts.services import token_create

    def ask(
        user: Any, method: str, run_id: str, what: str, scope: str = "write", body: Any = None, **asked: str
    ) -> Any:
        later = timezone.now() + timedelta(days=1)
        _, secret = token_create(user=user, name="t", scopes=[scope], expires_at=later)
        more = {"data": body, "content_type": "application/json"} if body is not None else {"query_params": asked}
        address = f"/api/v1/experiments/runs/{run_id}/{what}/"
        return getattr(Client(), method)(address, headers={"authorization": f"Bearer {secret}"}, **more)

    return ask


def test_files_are_listed_with_the_address_they_are_downloaded_from(study: Study, people: Any, api: Any) -> None:
    run_id = study.run()
    study.put(run_id, {"a/x y.txt": b"abc", "top.txt": b"12345"})
    model_id = study.model(run_id, {"MLmodel": b"flavors: {}"})
    answer = api(people.dana, "get", run_id, "artifacts", scope="read").json()["results"]
    assert [(row["path"], row["is_folder"], row["size"]) for row in answer] == [
        ("a", True, None),
        ("top.txt", False, 5),
    ]
    (inside,) = api(people.dana, "get", run_id, "artifacts", path="a").json()["results"]
    assert inside["download"] == f"/api/v1/experiments/runs/{run_id}/artifacts/download/?path=a%2Fx%20y.txt"
    (of_model,) = api(people.dana, "get", run_id, "artifacts", model=model_id).json()["results"]
    assert of_model["path"] == "MLmodel"
    file = api(people.dana, "get", run_id, "artifacts/download", path="top.txt")
    assert (file.status_code, file["Content-Disposition"]) == (200, "attachment; filename*=UTF-8''top.txt")
    refused = api(people.dana, "get", run_id, "artifacts", path="../../x")
    assert (refused.status_code, refused.json()["code"]) == (400, "experiments:artifact-path-invalid")
    assert "path" in refused.json()["errors"]


@pytest.mark.parametrize("what", ACTIONS)
def test_a_stranger_finds_nothing(study: Study, people: Any, api: Any, what: str) -> None:
    run_id = study.run()
    study.put(run_id, {"top.txt": b"1"})
    assert api(people.mallory, "get", run_id, what, path="top.txt").status_code == 404
    assert api(people.ada, "get", run_id, what, path="top.txt" if "download" in what else "").status_code == 200


def test_the_note_is_written_by_members_with_a_token_that_writes(study: Study, people: Any, api: Any) -> None:
    run_id = study.run()
    assert api(people.dana, "patch", run_id, "note", body={"note": "by script"}).json() == {"note": "by script"}
    tags = {tag["key"]: tag["value"] for tag in study.tracker.get(run_id)["data"]["tags"]}
    assert tags["mlflow.note.content"] == "by script"
    assert api(people.dana, "patch", run_id, "note", scope="read", body={"note": "x"}).status_code == 403
    assert api(people.ada, "patch", run_id, "note", body={"note": "x"}).status_code == 403
    bad = api(people.dana, "patch", run_id, "note", body={"note": 5 * [1]})
    assert (bad.status_code, list(bad.json()["errors"])) == (400, ["note"])
    long = api(people.dana, "patch", run_id, "note", body={"note": "x" * 20_001})
    assert long.status_code == 400


def test_a_note_that_was_changed_meanwhile_is_kept(study: Study, people: Any, api: Any) -> None:
    run_id = study.run()
    first = {"note": "first", "before": ""}
    assert api(people.dana, "patch", run_id, "note", body=first).json() == {"note": "first"}
    late = api(people.dana, "patch", run_id, "note", body={"note": "second", "before": ""})
    assert (late.status_code, late.json()["code"]) == (409, "experiments:note-changed")
    tags = {tag["key"]: tag["value"] for tag in study.tracker.get(run_id)["data"]["tags"]}
    assert tags["mlflow.note.content"] == "first"
    then = {"note": "second", "before": "first"}
    assert api(people.dana, "patch", run_id, "note", body=then).json() == {"note": "second"}


def test_lineage_and_recreate(study: Study, people: Any, api: Any) -> None:
    environment = environment_of(people)
    run_id = study.run(start=now_ms(), end=now_ms(minutes=1), tags=tags_of(environment, plan_hash="dead"))
    facts = {fact["key"]: fact["standing"] for fact in api(people.dana, "get", run_id, "lineage").json()["facts"]}
    assert facts == {"environment": "verified", "module": "verified", "plan": "disagrees", "runtime": "verified"}
    said = api(people.dana, "get", run_id, "recreate").json()
    assert (said["possible"], said["different"]) == (True, [])
    assert any(COMMIT[:12] in point["value"] for point in said["same"])
    assert api(people.dana, "post", run_id, "recreate", scope="read", body={}).status_code == 403
    made = api(people.dana, "post", run_id, "recreate", body={"name": "once more"})
    assert (made.status_code, made.json()["name"], made.json()["status"]) == (201, "once more", "queued")
    assert Environment.objects.get(name="once more").inputs["revision"] == COMMIT
    again = api(people.dana, "post", run_id, "recreate", body={"name": "once more"})
    assert (again.status_code, again.json()["code"]) == (400, "environments:name-taken")
    assert api(people.pete, "post", run_id, "recreate", body={}).json()["code"] == "experiments:recreation-impossible"


def test_mlflow_away_is_a_problem_that_passes(study: Study, people: Any, api: Any, settings: Any) -> None:
    run_id = study.run()
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    answer = api(people.dana, "get", run_id, "artifacts")
    assert (answer.status_code, answer.json()["code"]) == (503, "experiments:tracker-away")
    note = api(people.dana, "patch", run_id, "note", body={"note": "x"})
    assert note.status_code == 503
