"""What a request does while Valkey or PostgreSQL is away: it answers soon, and says what it could not do."""

import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.core.cache import cache
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from apps.core import queue
from apps.core.cache import ForgivingRedisCache
from portal.settings import base
from tests.cast import Cast, bearer

SOON_S = 1.6


@pytest.fixture(params=["refuses", "hangs"])
def broker_away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that refuses connections, or takes them and never says a word."""
    from celery import current_app

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if request.param == "hangs":
            silent.listen(50)
        url = f"redis://:secret@127.0.0.1:{silent.getsockname()[1]}/0"
        monkeypatch.setattr(current_app.conf, "broker_write_url", url)
        monkeypatch.setattr(queue.Rest, "until", 0.0)
        monkeypatch.setattr(ForgivingRedisCache, "resting_until", 0.0)
        queue._producers.cache_clear()
        yield url
    queue._producers.cache_clear()


def seconds(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def test_a_click_does_not_wait_for_the_broker(
    broker_away: str, django_capture_on_commit_callbacks: Any, db: None
) -> None:
    def click() -> None:
        with django_capture_on_commit_callbacks(execute=True):
            for _ in range(5):
                queue.enqueue("apps.core.tasks.prune")

    assert seconds(click) < SOON_S


def test_what_is_enqueued_arrives_and_survives_a_stale_connection(
    db: None, django_capture_on_commit_callbacks: Any
) -> None:
    from celery import current_app

    queue._producers.cache_clear()
    with current_app.connection_for_read() as reading:
        client = reading.default_channel.client
        client.delete("slipway")
        for number in (1, 2):
            with django_capture_on_commit_callbacks(execute=True):
                queue.enqueue("no.such.task")
            assert client.llen("slipway") == number
            # As after a restart of Valkey: every connection but this one is cut.
            client.client_kill_filter(_type="normal", skipme=True)
        client.delete("slipway")


def test_pages_go_on_without_the_cache(broker_away: str, settings: Any) -> None:
    configured = settings.CACHES["default"]
    cache_ = ForgivingRedisCache(broker_away, {"OPTIONS": configured["OPTIONS"]})

    def page() -> None:
        assert cache_.get("a", "absent") == "absent"
        assert cache_.set("a", 1) is None
        # Who comes first cannot be known, so nobody does: a one-time ticket is refused, not used twice.
        assert cache_.add("ticket", 1) is False
        with pytest.raises(ValueError, match="cannot be counted"):
            cache_.incr("a")

    assert configured["BACKEND"].endswith(ForgivingRedisCache.__name__)
    assert seconds(page) < SOON_S


def test_the_cache_is_asked_again_when_it_is_back() -> None:
    ForgivingRedisCache.resting_until = 0.0
    cache.set("outages:a", 7)
    assert cache.get("outages:a") == 7
    assert cache.incr("outages:a") == 8
    assert cache.add("outages:a", 1) is False
    cache.delete("outages:a")
    with pytest.raises(ValueError, match="outages:a"):
        cache.incr("outages:a")


def away(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    raise OperationalError("connection to server failed: Connection refused")


@pytest.mark.parametrize("path", ["/", "/environments/", "/accounts/"])
def test_a_page_says_that_the_database_is_away(cast: Cast, path: str) -> None:
    browser = Client(raise_request_exception=False)
    browser.force_login(cast.dana)
    with connection.execute_wrapper(away):
        answer = browser.get(path)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "cannot reach its database" in answer.content.decode()
    assert browser.get(path).status_code == 200


def test_the_api_says_that_the_database_is_away(cast: Cast) -> None:
    from apps.accounts.services import token_create

    in_a_week = timezone.now() + timedelta(days=7)
    _, secret = token_create(user=cast.dana, name="t", scopes=["read", "write"], expires_at=in_a_week)
    client = Client(raise_request_exception=False)
    with connection.execute_wrapper(away):
        answer = client.get("/api/v1/environments/", **bearer(secret))
        written = client.post("/api/v1/environments/", "{}", "application/json", **bearer(secret))
    for problem in (answer, written):
        assert (problem.status_code, problem["Retry-After"]) == (503, "5")
        assert problem["Content-Type"] == "application/problem+json"
        assert problem.json()["code"] == "core:database-unavailable"


def test_a_process_that_is_frozen_in_a_transaction_holds_no_row_for_ever(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr(base, "IDLE_IN_TRANSACTION_MS", 200)
    own = base.database_from_url(settings.DATABASE_URL)
    words = {"host": own["HOST"], "port": own["PORT"] or None, "user": own["USER"], "password": own["PASSWORD"]}
    with psycopg.connect(dbname="postgres", options=own["OPTIONS"]["options"], **words) as frozen:
        frozen.execute("SELECT pg_advisory_xact_lock(1)")
        time.sleep(0.6)
        with pytest.raises(psycopg.Error, match="idle-in-transaction"):
            frozen.execute("SELECT 1")
