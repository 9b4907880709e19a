"""`/api/v1/`: shapes, who may what, problems, idempotency, constant queries."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.environments.models import Environment
from apps.provisioning.models import Change, LogLine
from tests.factories import (
    NOTEBOOK_VERSION,
    People,
    change_drive,
    change_of,
    environment_make,
    environment_running,
    notebook_version,
)

API = "/api/v1"
WISH = {
    "name": "nb",
    "team": "vision",
    "module": "local-notebook",
    "preset": "small",
    "inputs": {"memory_gb": 3},
    "ttl": "2h",
}


@pytest.fixture
def api(people: People) -> Callable[..., Client]:
    """A client with a bearer token of a person."""
    from apps.accounts.models import ApiToken
    from apps.accounts.services import token_create

    def client(user: Any = None, scope: str = ApiToken.Scope.WRITE) -> Client:
        if user is None:
            return Client()
        from datetime import timedelta

        from django.utils import timezone

        made = token_create(user=user, name="t", scopes=[scope], expires_at=timezone.now() + timedelta(days=1))
        secret = next(part for part in (made if isinstance(made, tuple) else (made,)) if isinstance(part, str))
        return Client(headers={"Authorization": f"Bearer {secret}"})

    return client


def post(client: Client, url: str, body: Any = None, **headers: str) -> Any:
    return client.post(url, body or {}, content_type="application/json", headers=headers)


def test_a_launch_answers_with_the_environment(people: People, api: Callable[..., Client]) -> None:
    notebook_version()
    answer = post(api(people.dana), f"{API}/environments/", WISH)
    assert answer.status_code == 201, answer.content
    body = answer.json()
    environment = Environment.objects.get()
    assert body["id"] == str(environment.pk)
    assert {name: body[name] for name in ("name", "status", "team", "owner", "module", "version", "expires_at")} == {
        "name": "nb",
        "status": "queued",
        "team": "vision",
        "owner": "dana",
        "module": "local-notebook",
        "version": NOTEBOOK_VERSION,
        "expires_at": None,
    }
    assert body["inputs"]["memory_gb"] == 3
    assert body["active_change"] == str(change_of(environment).pk)
    assert body["app_urls"] == {"jupyterlab": f"http://{environment.slug}.apps.localhost:8000/lab"}
    assert environment.ttl_seconds == 7200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"team": "nowhere"}, "team"),
        ({"team": "pricing"}, "team"),
        ({"module": "nothing"}, "module"),
        ({"version": "9.9.9"}, "version"),
        ({"preset": "huge"}, "preset"),
        ({"ttl": "soon"}, "ttl"),
        ({"ttl": "30d"}, "ttl"),
        ({"ttl": -5}, "ttl"),
        ({"ttl": True}, "ttl"),
        ({"inputs": [1]}, "inputs"),
        ({"inputs": {"memory_gb": "x"}}, "inputs.memory_gb"),
        ({"inputs": {"memory_gb": 0.5}}, "inputs.memory_gb"),
        ({"inputs": {"nope": 1}}, "inputs.nope"),
    ],
)
def test_a_wrong_field_is_a_problem_that_names_it(
    people: People, api: Callable[..., Client], changes: dict[str, Any], field: str
) -> None:
    notebook_version()
    answer = post(api(people.dana), f"{API}/environments/", {**WISH, **changes})
    assert answer.status_code == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert field in problem["errors"]
    assert problem["code"]
    assert not Environment.objects.exists()


def test_the_same_idempotency_key_launches_once(people: People, api: Callable[..., Client]) -> None:
    notebook_version()
    client, key = api(people.dana), str(uuid.uuid4())
    answers = [post(client, f"{API}/environments/", WISH, **{"Idempotency-Key": key}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    other = post(client, f"{API}/environments/", {**WISH, "name": "other"}, **{"Idempotency-Key": key})
    assert other.status_code == 422
    assert Environment.objects.count() == 1


def test_who_may_see_and_change(people: People, running: Environment, api: Callable[..., Client]) -> None:
    one = f"{API}/environments/{running.pk}/"
    for name, (seen, changed) in {"mallory": (404, 404), "mira": (200, 403), "ada": (200, 403)}.items():
        client = api(getattr(people, name))
        assert client.get(one).status_code == seen
        for verb in ("start", "extend", "destroy", "upgrade", "refresh", "retry"):
            answer = post(client, f"{one}{verb}/", {"seconds": 3600} if verb == "extend" else None)
            assert answer.status_code == changed, (name, verb)
            assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert Client().get(one).status_code == 401
    assert post(api(people.dana, "read"), f"{one}stop/").status_code == 403
    assert not Change.objects.active().exists()


def test_the_actions_of_an_environment(people: People, running: Environment, api: Callable[..., Client]) -> None:
    client, one = api(people.dana), f"{API}/environments/{running.pk}/"
    assert post(client, f"{one}extend/", {"ttl": "1h"}).status_code == 200
    assert post(client, f"{one}extend/", {}).json()["errors"].keys() == {"seconds"}
    assert post(client, f"{one}stop/").json()["status"] == "stopping"
    busy = post(client, f"{one}start/")
    assert (busy.status_code, busy.json()["code"]) == (409, "environments:busy")
    change_drive(change_of(running))
    assert client.get(one).json()["status"] == "stopped"
    assert post(client, f"{one}start/").json()["status"] == "starting"
    change_drive(change_of(running))
    assert post(client, f"{one}refresh/").json()["status"] == "running"
    change_drive(change_of(running))
    changed = client.patch(one, {"inputs": {"memory_gb": 4}}, content_type="application/json")
    assert (changed.json()["status"], changed.json()["inputs"]["memory_gb"]) == ("updating", 4)
    change_drive(change_of(running))
    refused = post(client, f"{one}destroy/", {"confirm": "x"})
    assert (refused.status_code, refused.json()["code"]) == (400, "environments:confirm-name")
    assert "confirm" in refused.json()["errors"]
    gone = post(client, f"{one}destroy/", {"confirm": "nb"})
    assert (gone.status_code, gone.json()["status"]) == (200, "destroying")
    change_drive(change_of(running))
    assert client.get(one).json()["status"] == "destroyed"
    assert client.get(f"{API}/environments/").json()["count"] == 0
    assert client.get(f"{API}/environments/?status=destroyed").json()["count"] == 1


def test_environments_are_not_deleted_or_replaced(
    people: People, running: Environment, api: Callable[..., Client]
) -> None:
    client, one = api(people.dana), f"{API}/environments/{running.pk}/"
    assert client.delete(one).status_code == 405
    assert client.put(one, {}, content_type="application/json").status_code == 405


def test_the_list_is_filtered_searched_ordered_and_paged(people: People, api: Callable[..., Client]) -> None:
    for name in ("b", "a", "c"):
        environment_make(people, name=name)
    environment_make(people, owner=people.mira, name="d", team=people.churn)
    environment_make(people, owner=people.mallory, name="e", team=people.pricing)
    client = api(people.dana)

    def names(query: str) -> list[str]:
        body = client.get(f"{API}/environments/?{query}").json()
        assert body.keys() == {"results", "next", "previous", "count"}
        return [row["name"] for row in body["results"]]

    assert names("ordering=name") == ["a", "b", "c", "d"]
    assert names("ordering=-name&mine=true") == ["c", "b", "a"]
    assert names("team=churn") == ["d"]
    assert names("owner=mira") == ["d"]
    assert names("status=running") == []
    assert names("status=queued&status=running&ordering=name") == ["a", "b", "c", "d"]
    assert names("search=mira") == ["d"]
    assert names("module=local-notebook&name=c") == ["c"]
    assert client.get(f"{API}/environments/?status=odd").status_code == 400
    first = client.get(f"{API}/environments/?ordering=name&page_size=3").json()
    assert first["count"] == 4
    rest = client.get(first["next"]).json()
    assert [row["name"] for row in rest["results"]] == ["d"]
    assert client.get(f"{API}/environments/?count=false").json()["count"] is None


@pytest.mark.parametrize("resource", ["environments", "changes", "modules", "modules/local-notebook/versions"])
def test_a_list_takes_the_same_queries_for_many_rows(people: People, api: Callable[..., Client], resource: str) -> None:
    client = api(people.dana)

    def queries() -> int:
        client.get(f"{API}/{resource}/")
        with CaptureQueriesContext(connection) as seen:
            assert client.get(f"{API}/{resource}/").status_code == 200
        return len(seen)

    environment_make(people, name="first")
    few = queries()
    for number in range(4):
        environment_running(people, name=f"nb{number}")
    notebook_version(version="9.9.0")
    assert queries() == few


# Changes -------------------------------------------------------------------------------------------------------------


def test_a_change_with_its_plan_and_log(people: People, running: Environment, api: Callable[..., Client]) -> None:
    change = change_of(running)
    Change.objects.filter(pk=change.pk).update(plan={"destructive": False, "resources": []}, plan_hash="c" * 64)
    LogLine.objects.create(
        workspace_id=running.pk, change=change, stream="build", number=1, at=change.created_at, text="Creating"
    )
    client, one = api(people.dana), f"{API}/changes/{change.pk}/"
    body = client.get(one).json()
    assert (body["environment"], body["kind"], body["status"]) == (str(running.pk), "create", "applied")
    assert "values" not in body
    assert client.get(f"{one}plan/").json()["plan_hash"] == "c" * 64
    log = client.get(f"{one}log/").json()
    assert [line["text"] for line in log["lines"]] == ["Creating"]
    assert (log["after"], log["is_complete"]) == (1, True)
    assert client.get(f"{one}log/?after=1").json()["lines"] == []
    assert client.get(f"{one}log/?after=x").status_code == 400
    stranger = api(people.mallory)
    for part in ("", "plan/", "log/"):
        assert stranger.get(one + part).status_code == 404
        assert Client().get(one + part).status_code == 401
    for part in ("cancel/", "approve/", "reject/"):
        assert post(stranger, one + part, {"plan_hash": "c"}).status_code == 404
        assert post(api(people.ada), one + part, {"plan_hash": "c"}).status_code == 403
    ended = post(client, f"{one}cancel/")
    assert (ended.status_code, ended.json()["code"]) == (409, "provisioning:not-cancellable")


def test_changes_are_listed_by_environment(people: People, running: Environment, api: Callable[..., Client]) -> None:
    environment_make(people, name="other")
    environment_make(people, owner=people.mallory, name="hers", team=people.pricing)
    client = api(people.dana)
    assert client.get(f"{API}/changes/").json()["count"] == 2
    only = client.get(f"{API}/changes/?environment={running.pk}").json()["results"]
    assert [row["environment_name"] for row in only] == ["nb"]
    assert client.get(f"{API}/changes/?status=queued").json()["count"] == 1


def test_a_waiting_plan_is_approved_by_its_hash_or_rejected(
    people: People, running: Environment, api: Callable[..., Client]
) -> None:
    from apps.environments.services import environment_update

    client = api(people.dana)
    for end in ("reject", "approve"):
        environment_update(environment=running, actor=people.dana, inputs={"memory_gb": 4})
        change = change_of(running)
        change_drive(change, "planning")
        change_drive(change, "awaiting_approval", plan_hash="d" * 64, plan={"resources": [], "destructive": True})
        one = f"{API}/changes/{change.pk}/"
        assert post(api(people.mira), f"{one}approve/", {"plan_hash": "d" * 64}).status_code == 403
        stale = post(client, f"{one}approve/", {"plan_hash": "e" * 64})
        assert (stale.status_code, stale.json()["code"]) == (409, "provisioning:plan-stale")
        done = post(client, f"{one}{end}/", {"plan_hash": "d" * 64, "reason": "no"})
        assert done.json()["status"] == {"reject": "discarded", "approve": "planned"}[end]


# Modules -------------------------------------------------------------------------------------------------------------


def test_modules_and_their_versions(people: People, api: Callable[..., Client]) -> None:
    notebook_version()
    client = api(people.mallory)
    module = client.get(f"{API}/modules/").json()["results"][0]
    assert {name: module[name] for name in ("slug", "kind", "target", "latest_version")} == {
        "slug": "local-notebook",
        "kind": "notebook",
        "target": "local",
        "latest_version": NOTEBOOK_VERSION,
    }
    assert client.get(f"{API}/modules/local-notebook/").json()["slug"] == "local-notebook"
    version = client.get(f"{API}/modules/local-notebook/versions/{NOTEBOOK_VERSION}/").json()
    assert version["digest"]
    assert "cpu" in [variable["name"] for variable in version["inputs"]]
    assert "slipway" not in [variable["name"] for variable in version["inputs"]]
    assert client.get(f"{API}/modules/local-notebook/versions/").json()["count"] == 1
    assert client.get(f"{API}/modules/none/versions/").status_code == 404
    assert client.get(f"{API}/modules/none/").status_code == 404
    assert Client().get(f"{API}/modules/").status_code == 401
    assert post(client, f"{API}/modules/", {}).status_code == 403
