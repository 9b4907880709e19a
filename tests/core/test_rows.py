"""What a `RowSerializer` shows is what REST framework's own reading of the same fields shows."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from rest_framework import serializers

from apps.accounts.api.serializers import TeamSerializer, UserSerializer
from apps.accounts.models import Team
from apps.core.api.rows import RowSerializer
from apps.environments.api.serializers import EnvironmentSerializer
from apps.provisioning.api.serializers import ChangeSerializer, LogLineSerializer
from apps.provisioning.models import Change, LogLine
from tests.cast import Cast
from tests.factories import change_drive, change_of, environment_make, environment_running

pytestmark = pytest.mark.django_db


def rows_of(cast: Cast) -> list[tuple[type[RowSerializer[Any]], Any]]:
    """Rows with and without what may be missing."""
    running, failed = environment_running(cast, name="runs"), environment_make(cast, name="fails")
    change_drive(change_of(failed), "failed", code="x:y", detail="Not at all")
    failed.refresh_from_db()
    bare = Change.objects.get(workspace_id=failed.pk)
    bare.requested_by = None
    approved = Change.objects.get(workspace_id=running.pk)
    approved.approved_by, approved.approved_at = cast.pete, timezone.now()
    line = LogLine(workspace_id=running.pk, stream="build", number=3, at=timezone.now(), text="Creating")
    team = Team.objects.get(pk=cast.vision.pk)
    team.member_count = 4
    return [
        (EnvironmentSerializer, running), (EnvironmentSerializer, failed), (ChangeSerializer, bare),
        (ChangeSerializer, approved), (LogLineSerializer, line), (UserSerializer, cast.pete), (TeamSerializer, team),
    ]  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_every_field_reads_as_declared(cast: Cast, zone: str) -> None:
    for shape, row in rows_of(cast):
        with timezone.override(ZoneInfo(zone)):
            quick = shape(row).data
            declared = serializers.ModelSerializer.to_representation(shape(row), row)
        assert dict(quick) == dict(declared), shape.__name__
