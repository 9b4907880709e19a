"""`/api/v1/models/`: what the pages do, for programs."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.models import IdempotencyKey
from apps.experiments.services.indexing import run_touch
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.services.details import version_details_read, versions_pending
from apps.registry.services.indexing import registry_round
from tests.cast import Cast, bearer
from tests.registry.world import Registry

pytestmark = pytest.mark.django_db
MODEL = "/api/v1/models/churn.scores/"


@pytest.fixture
def scores(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"])
    registry.version("churn.scores", logged_models["second"])
    registry_round()
    for pk in versions_pending():
        version_details_read(pk)


@pytest.fixture
def ask(cast: Cast, client: Any) -> Any:
    from apps.accounts.services import token_create

    def asked(person: str, method: str, path: str, data: Any = None, **headers: str) -> Any:
        user = getattr(cast, person)
        expires = timezone.now() + timedelta(days=1)
        _, secret = token_create(user=user, name="api", scopes=["write"], expires_at=expires)
        more = {} if data is None else {"data": data, "content_type": "application/json"}
        return getattr(client, method)(path, **more, **bearer(secret), **headers)

    return asked


def test_models_and_versions_are_listed_and_read(scores: None, ask: Any) -> None:
    listed = ask("dana", "get", "/api/v1/models/").json()
    assert (listed["count"], listed["results"][0]["name"]) == (1, "churn.scores")
    assert listed["results"][0]["team"] == "churn"
    one = ask("dana", "get", MODEL).json()
    assert one["deployments"] == []
    versions = ask("dana", "get", f"{MODEL}versions/").json()
    assert [each["version"] for each in versions["results"]] == [2, 1]
    version = ask("dana", "get", f"{MODEL}versions/1/").json()
    assert [each["name"] for each in version["signature"]["inputs"]] == ["age", "income", "tenure"]
    assert len(version["digest"]) == 64


def test_a_stranger_finds_nothing_anywhere(scores: None, ask: Any) -> None:
    for path in ("", "versions/", "versions/1/", "aliases/", "alias-moves/", "cards/", "cards/1/"):
        assert ask("mallory", "get", MODEL + path).status_code == 404, path
    assert ask("mallory", "get", "/api/v1/models/").json()["count"] == 0
    body = {"version": 1, "from_version": None}
    assert ask("mallory", "put", f"{MODEL}aliases/champion/", body).status_code == 404


def test_an_alias_is_set_moved_and_taken_away_with_its_conflicts(scores: None, ask: Any) -> None:
    path = f"{MODEL}aliases/champion/"
    assert ask("dana", "put", path, {"version": 1, "from_version": None}).status_code == 200
    conflict = ask("mira", "put", path, {"version": 2, "from_version": None})
    assert (conflict.status_code, conflict.json()["code"]) == (409, "registry:alias-moved")
    assert ask("mira", "put", path, {"version": 2, "from_version": 1}).status_code == 200
    assert ask("dana", "get", f"{MODEL}aliases/").json()["results"] == [{"alias": "champion", "version": 2}]
    assert ask("dana", "delete", path).status_code == 400
    assert ask("dana", "delete", f"{path}?from_version=1").status_code == 409
    assert ask("dana", "delete", f"{path}?from_version=2").status_code == 204
    moves = ask("ada", "get", f"{MODEL}alias-moves/").json()["results"]
    assert [(each["from_version"], each["to_version"], each["actor"]) for each in moves] == [
        (2, None, "dana"), (1, 2, "mira"), (None, 1, "dana"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [{}, {"version": 1}, {"version": "x", "from_version": None}, {"version": 10**30, "from_version": None}, [], "x"],
)
def test_bodies_that_do_not_fit_name_their_fields(scores: None, ask: Any, body: Any) -> None:
    answer = ask("dana", "put", f"{MODEL}aliases/champion/", body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_readers_are_told_that_they_may_not(scores: None, ask: Any) -> None:
    assert ask("ada", "put", f"{MODEL}aliases/champion/", {"version": 1, "from_version": None}).status_code == 403
    assert ask("pete", "post", f"{MODEL}cards/", {"sections": {"license": "MIT"}, "from_number": 0}).status_code == 403


def test_a_card_is_written_in_versions(scores: None, ask: Any) -> None:
    first = ask("dana", "post", f"{MODEL}cards/", {"sections": {"license": "MIT"}, "from_number": 0})
    assert first.status_code == 201
    assert "license" not in first.json()["missing"]
    assert "intended_use" in first.json()["missing"]
    stale = ask("mira", "post", f"{MODEL}cards/", {"sections": {"license": "x"}, "from_number": 0})
    assert stale.json()["code"] == "registry:card-changed"
    odd = ask("dana", "post", f"{MODEL}cards/", {"sections": {"nosuch": "x"}, "from_number": 1})
    assert "nosuch" in odd.json()["errors"]
    assert ask("ada", "get", f"{MODEL}cards/1/").json()["sections"] == {"license": "MIT"}


def keyed(key: str) -> dict[str, str]:
    return {"HTTP_IDEMPOTENCY_KEY": key}


def test_a_version_is_registered_once_for_one_key(
    scores: None, ask: Any, cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    run_touch(logged_models["first"]["run_id"])
    body = {"run": logged_models["first"]["run_id"], "model": logged_models["first"]["model_id"]}
    made = ask("dana", "post", f"{MODEL}versions/", body, **keyed("once"))
    assert (made.status_code, made.json()) == (201, {"model": "churn.scores", "version": 3})
    again = ask("dana", "post", f"{MODEL}versions/", body, **keyed("once"))
    assert (again.status_code, again.json()) == (201, {"model": "churn.scores", "version": 3})
    assert again["Idempotency-Replayed"] == "true"
    IdempotencyKey.objects.all().delete()  # Our answer was lost: MLflow's version is found by the key it was made with.
    assert ask("dana", "post", f"{MODEL}versions/", body, **keyed("once")).json()["version"] == 3
    assert ask("dana", "post", f"{MODEL}versions/", body).json()["version"] == 4
    assert ModelVersion.objects.get(version=3).created_by == cast.dana
    assert AuditEvent.objects.filter(action="registry:version:registered", actor=cast.dana).count() == 2


def test_a_new_model_is_registered_with_its_first_version(
    scores: None, ask: Any, registry: Registry, logged_models: dict[str, Any]
) -> None:
    run_touch(logged_models["first"]["run_id"])
    body = {"run": logged_models["first"]["run_id"], "model": logged_models["first"]["model_id"]}
    registry.made.append("churn.api")
    made = ask("dana", "post", "/api/v1/models/", {**body, "name": "churn.api", "description": "Who **leaves**"})
    assert (made.status_code, made.json()) == (201, {"model": "churn.api", "version": 1})
    assert RegisteredModel.objects.get(name="churn.api").description == "Who **leaves**"
    taken = ask("dana", "post", "/api/v1/models/", {**body, "name": "churn.api"})
    assert (taken.status_code, taken.json()["code"]) == (409, "registry:name-taken")
    assert "name" in taken.json()["errors"]
    for name in ("vision.x", "leavers", "churn.a/b"):
        wrong = ask("dana", "post", "/api/v1/models/", {**body, "name": name})
        assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["name"]), name


def test_registering_refuses_what_the_page_refuses(
    scores: None, ask: Any, cast: Cast, logged_models: dict[str, Any]
) -> None:
    run_touch(logged_models["first"]["run_id"])
    run, model = logged_models["first"]["run_id"], logged_models["first"]["model_id"]
    path, body = f"{MODEL}versions/", {"run": run, "model": model}
    assert ask("mallory", "post", path, body).status_code == 404
    assert ask("ada", "post", path, body).status_code == 403
    assert ask("pete", "post", path, body).status_code == 403
    assert ask("pete", "post", "/api/v1/models/", {**body, "name": "churn.new"}).status_code == 403
    hidden = ask("mallory", "post", "/api/v1/models/", {**body, "name": "pricing.new"})
    assert (hidden.status_code, list(hidden.json()["errors"])) == (400, ["run"])
    for wrong, field in (
        ({"run": run}, "model"), ({"model": model}, "run"), ({**body, "run": "0" * 32}, "run"),
        ({**body, "run": "../x"}, "run"), ({**body, "model": "../../etc"}, "model"),
        ({**body, "model": logged_models["second"]["model_id"]}, "model"), ({**body, "run": ["x"]}, "run"),
    ):  # fmt: skip
        answer = ask("dana", "post", path, wrong)
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field]), wrong
        assert answer["Content-Type"] == "application/problem+json"
    assert ModelVersion.objects.count() == 2


def test_registering_says_that_mlflow_is_away(
    scores: None, ask: Any, settings: Any, logged_models: dict[str, Any]
) -> None:
    run_touch(logged_models["first"]["run_id"])
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    body = {"run": logged_models["first"]["run_id"], "model": logged_models["first"]["model_id"]}
    answer = ask("dana", "post", f"{MODEL}versions/", body)
    assert (answer.status_code, answer["Content-Type"]) == (503, "application/problem+json")


def test_a_version_that_is_not_deployed_predicts_nothing(scores: None, ask: Any) -> None:
    answer = ask("dana", "post", f"{MODEL}versions/1/predict/", {"body": {"inputs": [1]}})
    assert (answer.status_code, answer.json()["code"]) == (409, "registry:not-deployed")
