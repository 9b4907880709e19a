"""The live stream on the real PostgreSQL: who hears what, and what a browser is told that was away for too long."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections, transaction

from apps.core import events, live
from apps.core.events import Audience, EventStream, LiveHub, Subscription
from apps.core.models import LiveEvent

pytestmark = pytest.mark.django_db(transaction=True)

TEAM = "team:1"
TOPIC = "environment:7"
NAME = "live-hub-under-test"


def database_url() -> str:
    parameters = connection.get_connection_params()
    parameters["application_name"] = NAME
    return " ".join(f"{name}={parameters[name]}" for name in ("host", "user", "password", "dbname", "application_name"))


def publish(number: int = 1, **over: str) -> None:
    for _ in range(number):
        live.publish(**{"audience": TEAM, "topic": TOPIC, "kind": "status", **over})  # type: ignore[arg-type]


def ids() -> list[int]:
    return list(LiveEvent.objects.order_by("id").values_list("id", flat=True))


def listener(**over: Any) -> Subscription:
    audience = Audience(**{"names": frozenset({TEAM}), **over})
    return Subscription(audience, frozenset({TOPIC}))


@asynccontextmanager
async def hub_running() -> AsyncIterator[LiveHub]:
    hub = LiveHub(await sync_to_async(database_url)())
    try:
        yield hub
    finally:
        await hub.close()


def missed(subscription: Subscription, last: int | None) -> list[tuple[int, str]]:
    async def ask() -> list[tuple[int, str]]:
        async with hub_running() as hub:
            return [(row[0], row[3]) for row in await hub.subscribe(subscription, last)]

    return asyncio.run(ask())


def test_what_was_missed_is_repeated_in_order() -> None:
    publish(4)
    known = ids()
    assert missed(listener(), known[1]) == [(known[2], "status"), (known[3], "status")]
    assert missed(listener(), known[3]) == []


def test_a_gap_too_large_to_repeat_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "REPLAY", 3)
    publish(5)
    known = ids()
    assert missed(listener(), known[1]) == [(row, "status") for row in known[2:]]
    assert missed(listener(), known[0]) == [(known[4], "reset")]


def test_events_that_were_pruned_meanwhile_are_told_as_a_reset() -> None:
    publish(4)
    known = ids()
    LiveEvent.objects.filter(id__lte=known[1]).delete()
    assert missed(listener(), known[0]) == [(known[3], "reset")]
    assert missed(listener(), known[1]) == [(known[2], "status"), (known[3], "status")]


def test_ids_that_nobody_gave_begin_anew() -> None:
    """A database that was restored from a backup counts from where the backup was."""
    publish(2)
    known = ids()
    assert missed(listener(), known[1] + 1000) == [(known[1], "reset")]


def test_a_process_that_lags_behind_the_page_does_not_reset_it() -> None:
    async def ask() -> list[Any]:
        async with hub_running() as hub:
            await hub.subscribe(listener(), None)
            hub.cursor -= 1
            return await hub.subscribe(listener(), hub.cursor + 1)

    publish(2)
    assert asyncio.run(ask()) == []


def test_topics_of_ones_own_are_heard_whoever_they_are_told_to() -> None:
    publish(1, audience="team:2")
    publish(1, audience="team:2", topic="environment:8")
    own = ids()[0]
    assert missed(listener(), own - 1) == []
    assert missed(listener(topics=frozenset({TOPIC})), own - 1) == [(own, "status")]


def test_all_experiments_are_heard_by_one_name_but_only_those_of_ones_teams() -> None:
    publish(1, topic="experiment:4")
    publish(1, topic="experiment:5", audience="team:2")
    publish(1, topic="module:6")
    first = ids()[0]
    listening = Subscription(Audience(frozenset({TEAM})), frozenset({"experiments"}))
    assert missed(listening, first - 1) == [(first, "status")]


def served(authenticate: Any, url: str) -> int:
    """The status with which a stream is refused."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def ask() -> None:
        scope = {"method": "GET", "headers": [], "query_string": b"topics=environment:7"}
        await EventStream(LiveHub(url), authenticate)(scope, receive, send)

    asyncio.run(asyncio.wait_for(ask(), 20))
    assert json.dumps(sent[1]["body"].decode())
    return int(sent[0]["status"])


def test_a_stream_is_refused_for_a_moment_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(scope: Any) -> Audience | None:
        raise OperationalError("connection refused")

    assert served(away, "") == 503


def test_the_feed_goes_on_where_it_was_when_the_database_cut_it() -> None:
    """As a restart of PostgreSQL does: every connection of the hub ends, nothing is lost or told twice."""

    def publish_around_a_cut() -> int:
        try:
            publish(2)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s", [NAME]
                )
                (ended,) = cursor.fetchone()
            publish(2)
            return int(ended)
        finally:
            connections.close_all()

    async def follow() -> list[int]:
        heard: list[int] = []
        async with hub_running() as hub:
            subscription = listener()
            await hub.subscribe(subscription, None)
            for _ in range(2):
                assert await sync_to_async(publish_around_a_cut)() >= 1
                for _ in range(4):
                    row = await asyncio.wait_for(subscription.queue.get(), 20)
                    assert row is not None
                    heard.append(row[0])
            assert subscription.queue.empty()
        return heard

    heard = asyncio.run(follow())
    assert heard == ids()


def follow_beside(open_transaction: str) -> list[int]:
    """Ids heard within three seconds of one that was rolled back and one that was not, beside an open transaction."""

    def publish_behind_a_gap() -> None:
        try:
            with transaction.atomic():
                publish()
                transaction.set_rollback(True)
            publish()
        finally:
            connections.close_all()

    async def follow() -> list[int]:
        async with hub_running() as hub:
            subscription = listener()
            await hub.subscribe(subscription, None)
            await sync_to_async(publish)()
            row = await asyncio.wait_for(subscription.queue.get(), 20)
            assert row is not None
            async with await psycopg.AsyncConnection.connect(hub.database_url) as other:
                await other.execute(open_transaction)
                await sync_to_async(publish_behind_a_gap)()
                try:
                    row = await asyncio.wait_for(subscription.queue.get(), 3)
                except TimeoutError:
                    return []
                finally:
                    await other.rollback()
            return [row[0]] if row else []

    return asyncio.run(follow())


def test_a_long_transaction_of_somebody_else_holds_nothing_up() -> None:
    assert follow_beside("CREATE TEMPORARY TABLE another (id int)") == ids()[1:]


def test_an_event_that_may_still_come_is_waited_for() -> None:
    insert = "INSERT INTO core_liveevent (audience, topic, kind, data, created_at) VALUES ('x', 'x', 'x', '{}', now())"
    assert follow_beside(insert) == []
