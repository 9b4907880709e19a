"""A log whose lines have gone says so, instead of showing an empty box."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.utils import timezone

from apps.core.retention import prune_all
from apps.provisioning.models import Change, LogLine

if TYPE_CHECKING:
    from apps.environments.models import Environment

pytestmark = pytest.mark.django_db
REMOVED = "were removed: logs are kept for 30 days."


def write(environment: "Environment", stream: str, days: list[int], change: Change | None = None) -> None:
    LogLine.objects.filter(workspace_id=environment.pk).delete()
    LogLine.objects.bulk_create(
        LogLine(
            workspace_id=environment.pk,
            change=change,
            stream=stream,
            number=number,
            at=timezone.now() - timedelta(days=age),
            text=f"line {number}.",
        )
        for number, age in enumerate(days, 1)
    )


def test_earlier_lines_that_are_gone(running: "Environment", as_person: Callable[..., Client]) -> None:
    write(running, "application", [90, 60, 5, 1])
    address = f"/environments/{running.pk}/logs/?stream=application"
    assert REMOVED not in as_person(running.owner).get(address).content.decode()
    prune_all()
    page = as_person(running.owner).get(address).content.decode()
    assert f"Earlier lines {REMOVED}" in page
    assert "line 3." in page
    assert "line 2." not in page
    assert "Earlier lines are in the download" not in page


def test_a_change_whose_log_is_gone(running: "Environment", as_person: Callable[..., Client]) -> None:
    change = Change.objects.filter(workspace_id=running.pk).earliest("created_at")
    write(running, "build", [90, 90], change)
    LogLine.objects.create(workspace_id=running.pk, stream="build", number=3, at=timezone.now(), text="young")
    Change.objects.filter(pk=change.pk).update(
        created_at=timezone.now() - timedelta(days=90),
        finished_at=timezone.now() - timedelta(days=90),
        status="applied",
    )
    prune_all()
    address = f"/environments/{running.pk}/changes/{change.pk}/"
    page = as_person(running.owner).get(address).content.decode()
    assert f"These lines {REMOVED}" in page
    assert "Nothing was written" not in page


def test_a_young_log_that_is_empty_says_that_nothing_was_written(
    running: "Environment", as_person: Callable[..., Client]
) -> None:
    change = Change.objects.filter(workspace_id=running.pk).earliest("created_at")
    LogLine.objects.all().delete()
    page = as_person(running.owner).get(f"/environments/{running.pk}/changes/{change.pk}/").content.decode()
    assert REMOVED not in page
    assert "Nothing was written" in page
