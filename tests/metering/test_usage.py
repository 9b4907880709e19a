"""Sums over intervals, and who may see them."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import Membership, Team, User
from apps.metering.models import MeteredResource, ResourceInterval
from apps.metering.selectors import resources_used, usage
from apps.provisioning.models import Workspace
from tests.metering.world import BEGIN, at

HOUR = 3600


def interval(workspace: Workspace, start: float, end: float | None, **over: Any) -> ResourceInterval:
    resource = MeteredResource.objects.create(
        workspace=workspace, address=f"slipway_service.{uuid4().hex}", type="slipway_service", kind="service"
    )
    values = {
        "team": workspace.team,
        "user": workspace.owner,
        "state": "running",
        "cpu_cores": 2,
        "memory_bytes": 2**30,
        "disk_bytes": None,
        "gpu_count": 1,
        "started_at": at(start),
        "run_started_at": at(start),
        "ended_at": None if end is None else at(end),
        "seen_at": at(end if end is not None else start),
        **over,
    }
    return ResourceInterval.objects.create(resource=resource, workspace=workspace, **values)


def total(start: float, end: float, **over: Any) -> Any:
    return usage(start=at(start), end=at(end), now=over.pop("now", at(end)), **over)[0]


def test_only_the_part_inside_the_window_counts(workspace: Workspace) -> None:
    interval(workspace, 0, 100)
    assert total(50, 1000).core_seconds == 100
    assert total(-100, 30).core_seconds == 60
    assert total(20, 30).gpu_seconds == 10
    assert total(20, 30).memory_byte_seconds == 10 * 2**30
    assert total(100, 200).core_seconds == total(-10, 0).core_seconds == 0
    assert total(0, 0).existed_seconds == 0


def test_what_is_stopped_counts_for_its_disk_alone(workspace: Workspace) -> None:
    interval(workspace, 0, 100, state="stopped", disk_bytes=1000)
    row = total(0, 1000)
    assert (row.core_seconds, row.gpu_seconds, row.memory_byte_seconds, row.running_seconds) == (0, 0, 0, 0)
    assert (row.disk_byte_seconds, row.existed_seconds) == (100_000, 100)


def test_what_runs_counts_as_far_as_it_was_seen_and_what_exists_until_now(workspace: Workspace) -> None:
    interval(workspace, 0, None, seen_at=at(60))
    interval(workspace, 0, None, state="present", cpu_cores=None, disk_bytes=1, seen_at=at(0))
    row = total(0, 1000, now=at(500))
    assert (row.core_seconds, row.disk_byte_seconds) == (120, 500)


def test_a_day_ends_at_midnight_in_utc(workspace: Workspace) -> None:
    interval(workspace, 14 * HOUR, 40 * HOUR)  # Begins at 23:00.
    rows = usage(start=at(0), end=at(90 * HOUR), by=["day"], now=at(90 * HOUR))
    assert [(row.day.isoformat() if row.day else "", float(row.running_seconds)) for row in rows] == [
        ("2026-03-01", HOUR),
        ("2026-03-02", 24 * HOUR),
        ("2026-03-03", HOUR),
    ]
    assert sum(row.core_seconds for row in rows) == total(0, 90 * HOUR).core_seconds


@pytest.mark.parametrize("by", [[], ["day"], ["team", "user"], ["day", "team", "user", "environment", "kind"]])
def test_one_query_however_many_rows(workspace: Workspace, by: list[Any], django_assert_num_queries: Any) -> None:
    for number in range(30):
        interval(workspace, number * HOUR, (number + 1) * HOUR)
    with django_assert_num_queries(1):
        rows = usage(start=at(0), end=at(90 * HOUR), by=by)
    assert sum(row.core_seconds for row in rows) == 30 * HOUR * 2


def test_what_a_training_run_had(workspace: Workspace) -> None:
    interval(workspace, 0, 100, cpu_cores=1)
    interval(workspace, 100, None, cpu_cores=4, seen_at=timezone.now() + timedelta(days=999))
    used = resources_used(workspace_id=workspace.pk, start=at(90), end=at(120))
    assert [(use.interval.cpu_cores, use.seconds) for use in used] == [(1, 10), (4, 20)]


@pytest.fixture
def people(workspace: Workspace) -> dict[str, User]:
    other = Team.objects.create(slug="pricing", name="Pricing")
    made = {
        "dana": workspace.owner,
        "mate": User.objects.create_user("mate", password="x"),
        "mallory": User.objects.create_user("mallory", password="x"),
        "ada": User.objects.create_user("ada", password="x", is_auditor=True),
    }
    Membership.objects.create(user=made["mate"], team=workspace.team)
    Membership.objects.create(user=made["mallory"], team=other)
    return made


def ask(person: User | None, /, **query: Any) -> Any:
    client = Client()
    if person:
        client.force_login(person)
    return client.get("/api/v1/usage/", {"start": at(0).isoformat(), "end": at(1000).isoformat(), **query})


def test_members_see_their_teams_and_strangers_nothing(workspace: Workspace, people: dict[str, User]) -> None:
    interval(workspace, 0, 100)
    seen = {name: ask(user).json()["results"][0]["core_seconds"] for name, user in people.items()}
    assert seen == {"dana": 200, "mate": 200, "mallory": 0, "ada": 200}
    assert ask(people["mallory"], by="team,user,environment").json()["results"] == []
    assert ask(people["mallory"], environment=str(workspace.pk)).json()["results"][0]["existed_seconds"] == 0
    assert ask(None).status_code in (401, 403)


def test_groups_carry_names(workspace: Workspace, people: dict[str, User]) -> None:
    interval(workspace, 0, 100)
    body = ask(people["dana"], by="day,team,user,environment,kind").json()
    row = body["results"][0]
    assert body["count"] == 1
    assert [row[name] for name in ("day", "team", "user", "environment", "kind")] == [
        "2026-03-01",
        "vision",
        "dana",
        str(workspace.pk),
        "service",
    ]
    assert ask(people["dana"], user="nobody", by="day").json()["results"] == []
    assert len(ask(people["dana"], team="vision", user="dana", by="day").json()["results"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"by": "planet"},
        {"start": "yesterday"},
        {"end": (BEGIN - timedelta(days=1)).isoformat()},
        {"start": "0001-01-01T00:00:00Z"},
        {"end": "9999-12-31T23:59:59Z"},
        {"environment": "x"},
        {"team": "\x00"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(people: dict[str, User], query: dict[str, str]) -> None:
    answer = ask(people["dana"], **query)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"


def test_the_schema_says_that_the_answer_is_one_object(client: Client) -> None:
    schema = client.get("/api/schema/?format=json").json()
    answer = schema["paths"]["/api/v1/usage/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/UsagePage"}
