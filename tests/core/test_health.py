"""Health, readiness and figures."""

import json

import pytest
from django.core.cache import cache
from django.test import Client

from apps.core import health
from apps.core.tasks import prune, worker_heartbeat


def checks(client: Client) -> dict[str, dict[str, object]]:
    return client.get("/readyz").json()["checks"]


def test_healthz_asks_nobody(django_assert_num_queries, db: None) -> None:  # type: ignore[no-untyped-def]
    with django_assert_num_queries(0):
        assert Client().get("/healthz").json() == {"status": "up"}


def test_readyz_names_every_part_with_its_state(db: None) -> None:
    cache.delete(health.WORKER_HEARTBEAT)
    answer = Client().get("/readyz")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (503, "unavailable")
    assert set(body["checks"]) >= {"database", "broker", "keys", "mlflow", "worker", "agent"}
    states = {name: check["state"] for name, check in body["checks"].items()}
    assert (states["database"], states["broker"], states["worker"], states["agent"]) == ("up", "up", "down", "down")


def test_a_worker_that_beats_is_up_and_one_that_stopped_is_not(db: None) -> None:
    worker_heartbeat()
    assert checks(Client())["worker"]["state"] == "up"
    cache.set(health.WORKER_HEARTBEAT, json.dumps({"at": 0}))
    assert checks(Client())["worker"]["state"] == "down"


def test_optional_parts_only_degrade(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"database": health._checks["database"], "mlflow": health._checks["mlflow"]}
    monkeypatch.setattr(health, "_checks", kept)
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")


def test_a_check_that_breaks_is_down_and_gives_nothing_away(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(health, "_checks", {"secret": health.Check("secret", broken, required=True)})
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert "hunter2" not in answer.content.decode()


def test_a_lost_key_fails_readiness_by_name(db: None, settings) -> None:  # type: ignore[no-untyped-def]
    settings.SLIPWAY_KEYS = []
    assert checks(Client())["keys"]["state"] == "down"


def test_metrics_are_prometheus_text(db: None) -> None:
    Client().get("/healthz")
    answer = Client().get("/metrics")
    text = answer.content.decode()
    assert answer["Content-Type"].startswith("text/plain")
    assert 'slipway_http_requests_total{method="GET",status="200"}' in text
    assert 'slipway_changes{status="queued"} 0.0' in text
    assert "slipway_people" in text


def test_pruning_deletes_what_has_expired_and_nothing_else(db: None) -> None:
    from datetime import timedelta

    from django.utils import timezone

    from apps.core.models import LiveEvent

    old = LiveEvent.objects.create(audience="a", topic="t", kind="log")
    new = LiveEvent.objects.create(audience="a", topic="t", kind="log")
    LiveEvent.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(hours=25))
    prune()
    assert list(LiveEvent.objects.values_list("pk", flat=True)) == [new.pk]


def test_error_pages_are_pages_for_people_and_problems_for_scripts(db: None) -> None:
    page = Client().get("/nothing-here/")
    assert page.status_code == 404
    assert "not shared with you" in page.content.decode()
    api = Client().get("/api/v1/nothing/")
    assert (api.status_code, api["Content-Type"], api.json()["code"]) == (
        404,
        "application/problem+json",
        "core:not-found",
    )


def test_a_form_without_its_token_says_so(db: None) -> None:
    answer = Client(enforce_csrf_checks=True).post("/accounts/sign-in/", {"username": "dana"})
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()


def test_a_bug_is_a_page_with_a_number(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "states", lambda: 1 / 0)
    client = Client(raise_request_exception=False)
    answer = client.get("/readyz", headers={"X-Request-Id": "find-me"})
    assert answer.status_code == 500
    assert "find-me" in answer.content.decode()
