"""The environment's page says what was used."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.test import Client
from django.utils import timezone

from apps.environments.views.presenting import core_hours
from apps.metering.models import MeteredResource, ResourceInterval
from tests.environments.conftest import as_person, people, running

if TYPE_CHECKING:
    from apps.environments.models import Environment

__all__ = ["as_person", "people", "running"]


@pytest.mark.parametrize(
    ("hours", "words"),
    [(0.001, "0.01 core-hours"), (0.25, "0.25 core-hours"), (1, "1 core-hour"), (1250.4, "1,250 core-hours")],
)
def test_core_hours_in_words(hours: float, words: str) -> None:
    assert core_hours(hours) == words


@pytest.mark.django_db
def test_the_page_says_what_was_used_this_month(running: "Environment", as_person: Callable[..., Client]) -> None:
    address = f"/environments/{running.pk}/"
    assert "Used this month" not in as_person(running.owner).get(address).content.decode()
    resource = MeteredResource.objects.create(
        workspace_id=running.pk, address="slipway_service.x", type="slipway_service", kind="service", service="x"
    )
    now = timezone.now()
    ResourceInterval.objects.create(
        resource=resource,
        workspace_id=running.pk,
        team=running.team,
        user=running.owner,
        state="running",
        cpu_cores=3600 * 12,
        started_at=now - timedelta(seconds=1),
        ended_at=now,
        seen_at=now,
    )
    assert "12 core-hours" in as_person(running.owner).get(address).content.decode()
