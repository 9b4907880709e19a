"""The audit log: append-only in the database, read by those who may."""

from datetime import timedelta, timezone

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.audit.selectors import events_for
from apps.audit.services import audit_record
from tests.cast import Cast, browser

PAGE = "/audit/"


@pytest.fixture
def event(cast: Cast) -> AuditEvent:
    return audit_record(
        action="accounts:team:created",
        actor=cast.pete,
        target=cast.vision,
        team_id=cast.vision.pk,
        before={"name": "Old"},
        after={"name": "<b>Vision</b>"},
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET actor_name = 'mallory'",
        "DELETE FROM audit_auditevent",
        "TRUNCATE audit_auditevent",
    ],
)
def test_the_database_refuses_to_change_what_was_done(event: AuditEvent, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER audit_event_no_truncate")
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            cursor.execute(statement)
    assert AuditEvent.objects.get().actor_name == "pete"


def test_events_are_seen_by_their_people_and_teams(event: AuditEvent, cast: Cast) -> None:
    audit_record(action="accounts:password:changed", actor=cast.mallory, target=cast.mallory)

    def count(name: str) -> int:
        return len(browser(getattr(cast, name)).get("/api/v1/audit/").json()["results"])

    assert {name: count(name) for name in ("dana", "mira", "mallory", "pete", "ada")} == {
        "dana": 1,
        "mira": 1,
        "mallory": 1,
        "pete": 2,
        "ada": 2,
    }
    url = f"/api/v1/audit/{event.uid}/"
    assert browser(cast.mallory).get(url).status_code == 404
    assert browser(cast.dana).get(url).json()["after"] == {"name": "<b>Vision</b>"}
    assert browser(cast.pete).delete(url).status_code == 405


def test_the_activity_of_an_object_is_that_of_the_one_who_looks(event: AuditEvent, cast: Cast) -> None:
    assert [row.pk for row in events_for(target=cast.vision, user=cast.dana)] == [event.pk]
    assert not events_for(target=cast.vision, user=cast.mallory)


def test_the_page_filters_and_escapes(event: AuditEvent, cast: Cast) -> None:
    client = browser(cast.ada)
    page = client.get(PAGE).content.decode()
    assert "&lt;b&gt;Vision&lt;/b&gt;" in page
    assert "<b>Vision" not in page
    assert "added the team" in page
    assert len(client.get(PAGE, {"q": "visi"}).context["rows"]) == 1
    assert len(client.get(PAGE, {"actor": "pete", "area": "accounts:"}).context["rows"]) == 1
    empty = client.get(PAGE, {"area": "environments:"})
    assert "Nothing matches" in empty.content.decode()
    assert len(client.get(PAGE, {"since": "2200-01-01"}).context["rows"]) == 0
    assert "left out" in client.get(PAGE, {"since": "yesterday", "until": "9999-12-31"}).content.decode()


def test_pages_follow_one_another(cast: Cast, django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    for number in range(60):
        audit_record(action="accounts:team:created", actor=cast.pete, target=cast.vision, after={"n": number})
    client = browser(cast.pete)
    with django_assert_max_num_queries(8):
        first = client.get(PAGE)
    second = client.get(PAGE + first.context["next_url"])
    assert [len(first.context["rows"]), len(second.context["rows"])] == [50, 10]
    assert client.get(PAGE + second.context["previous_url"]).context["rows"][0]["event"].pk == (
        first.context["rows"][0]["event"].pk
    )
    assert client.get(f"{reverse('audit:events')}?cursor=x").status_code == 400


@pytest.mark.parametrize("name", ["since", "until"])
def test_moments_of_the_api_have_any_offset_and_any_year(event: AuditEvent, cast: Cast, name: str) -> None:
    pete = browser(cast.pete)
    for moment, status in {
        "2026-11-21T10:00:00+23:59": 200,
        "0153-05-22T08:04:24-22:44": 200,
        "0001-01-01T00:00:00+05:00": 400,
        "9999-12-31T23:59:59-05:00": 400,
        "yesterday": 400,
    }.items():
        assert pete.get("/api/v1/audit/", {name: moment}).status_code == status, moment
    at = event.at.astimezone(timezone(-timedelta(hours=20)))
    found = pete.get("/api/v1/audit/", {name: at.isoformat()}).json()["results"]
    assert len(found) == (1 if name == "since" else 0)
