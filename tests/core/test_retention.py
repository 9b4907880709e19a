"""What expired goes, what is young or needed stays; each kind beside its limit."""

import os
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.contrib.sessions.models import Session
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils import timezone

from apps.accounts.models import ApiToken, User
from apps.audit.models import AuditEvent
from apps.core import retention
from apps.core.models import IdempotencyKey, LiveEvent
from apps.core.retention import prune_all
from apps.metering.models import MeteredResource, ResourceInterval
from apps.notifications.models import Notification
from apps.provisioning.agent.housekeeping import runtimes_remove
from apps.provisioning.agent.leftovers import changes_forget_ended
from apps.provisioning.models import Change, CommandRecord, LogCursor, LogLine, StateVersion, Workspace
from tests.provisioning.conftest import change, dana, workspace

__all__ = ["change", "dana", "workspace"]


def aged(row: models.Model, **ago: int) -> models.Model:
    """`row` as if it had been made so long ago."""
    for name in ("created_at", "at", "attempt_time"):
        try:
            row._meta.get_field(name)
        except FieldDoesNotExist:
            continue
        type(row)._default_manager.filter(pk=row.pk).update(**{name: timezone.now() - timedelta(**ago)})
    return row


def exists(row: models.Model) -> bool:
    return type(row)._default_manager.filter(pk=row.pk).exists()


def finish(change: Change, **ago: int) -> None:
    moment = timezone.now() - timedelta(**ago)
    Change.objects.filter(pk=change.pk).update(status="applied", finished_at=moment, created_at=moment)


def lines(workspace: Workspace, count: int, *, stream: str = "build", change: Change | None = None) -> list[LogLine]:
    made = [
        LogLine(workspace=workspace, change=change, stream=stream, number=n, at=timezone.now(), text=f"line {n}")
        for n in range(1, count + 1)
    ]
    return LogLine.objects.bulk_create(made)


def state(workspace: Workspace, serial: int, **ago: int) -> StateVersion:
    row = StateVersion.objects.create(
        workspace=workspace, lineage="l", serial=serial, digest=f"{serial}", cipher=b"", change=None
    )
    return cast("StateVersion", aged(row, **ago))


def test_lines_beyond_the_days_go_and_the_newest_of_a_stream_stays(workspace: Workspace, change: Change) -> None:
    finish(change, days=40)
    old = lines(workspace, 5, change=change)
    for line in old:
        aged(line, days=31)
    young = lines(workspace, 3, stream="application")
    for line in young[:2]:
        aged(line, days=29)
    prune_all()
    assert [exists(line) for line in old] == [False, False, False, False, True]
    assert all(map(exists, young))
    assert prune_all()["log lines"] == 0


def test_the_next_line_goes_on_counting(workspace: Workspace) -> None:
    for line in lines(workspace, 5, stream="application"):
        aged(line, days=400)
    prune_all()
    assert LogLine.objects.get().number == 5


def test_lines_of_a_change_under_way_stay_however_old(workspace: Workspace, change: Change) -> None:
    for line in lines(workspace, 3, change=change):
        aged(line, days=400)
    prune_all()
    assert LogLine.objects.count() == 3


def test_a_log_without_end_keeps_its_newest_lines(workspace: Workspace, settings: Any) -> None:
    settings.KEEP_LOG_LINES = 10
    lines(workspace, 25, stream="application")
    lines(workspace, 10, stream="build")
    prune_all()
    kept = LogLine.objects.filter(stream="application").order_by("number").values_list("number", flat=True)
    assert list(kept) == list(range(16, 26))
    assert LogLine.objects.filter(stream="build").count() == 10


def test_states_go_beyond_the_days_and_the_number_but_never_the_newest(workspace: Workspace, settings: Any) -> None:
    settings.KEEP_STATE_VERSIONS = 2
    rows = [state(workspace, serial, days=400 - serial) for serial in range(1, 6)]
    rows.append(state(workspace, 6, days=29))
    prune_all()
    assert [exists(row) for row in rows] == [False, False, False, False, True, True]
    settings.KEEP_STATE_VERSIONS, settings.KEEP_STATE_DAYS = 1, 1
    prune_all()
    assert [row.pk for row in StateVersion.objects.all()] == [rows[-1].pk]


def test_states_within_the_days_stay_however_many(workspace: Workspace, settings: Any) -> None:
    settings.KEEP_STATE_VERSIONS = 1
    for serial in range(30):
        state(workspace, serial, days=29)
    prune_all()
    assert StateVersion.objects.count() == 30


def test_each_workspace_keeps_its_own_newest_state(workspace: Workspace, settings: Any) -> None:
    settings.KEEP_STATE_VERSIONS = 1
    other = Workspace.objects.create(
        id=uuid.uuid4(),
        name="other",
        team=workspace.team,
        owner=workspace.owner,
        module_version=workspace.module_version,
        target="local",
    )
    first, second = state(workspace, 1, days=300), state(other, 1, days=200)
    prune_all()
    assert exists(first)
    assert exists(second)


def test_commands_go_with_their_time_but_not_of_a_change_under_way(workspace: Workspace, change: Change) -> None:
    row = aged(CommandRecord.objects.create(change=change, name="plan"), days=200)
    prune_all()
    assert exists(row)
    finish(change, days=89)
    prune_all()
    assert exists(row)
    finish(change, days=91)
    prune_all()
    assert not exists(row)
    assert exists(change)


def session(days: int) -> models.Model:
    expires = timezone.now() + timedelta(days=days)
    return Session.objects.create(session_key=uuid.uuid4().hex, session_data="", expire_date=expires)


def token(user: User, **values: Any) -> models.Model:
    return ApiToken.objects.create(
        user=user, name="t", prefix="p", digest=uuid.uuid4().hex * 2, scopes=["read"], **values
    )


def ago(**of: int) -> Any:
    return timezone.now() - timedelta(**of)


CASES: dict[str, tuple[Callable[[User], models.Model], Callable[[User], models.Model]]] = {
    "live events": (
        lambda _: aged(LiveEvent.objects.create(audience="a", topic="t", kind="status"), hours=25),
        lambda _: aged(LiveEvent.objects.create(audience="a", topic="t", kind="status"), hours=23),
    ),
    "idempotency keys": (
        lambda user: aged(IdempotencyKey.objects.create(user=user, key="1", fingerprint=""), hours=49),
        lambda user: aged(IdempotencyKey.objects.create(user=user, key="2", fingerprint=""), hours=47),
    ),
    "sessions": (lambda _: session(-1), lambda _: session(1)),
    "read notifications": (
        lambda user: Notification.objects.create(user=user, text="x", read_at=ago(days=91)),
        lambda user: Notification.objects.create(user=user, text="x", read_at=ago(days=89)),
    ),
    "unread notifications": (
        lambda user: aged(Notification.objects.create(user=user, text="x"), days=361),
        lambda user: aged(Notification.objects.create(user=user, text="x"), days=359),
    ),
    "expired tokens": (
        lambda user: token(user, expires_at=ago(days=91)),
        lambda user: token(user, expires_at=ago(days=89)),
    ),
    "revoked tokens": (
        lambda user: token(user, revoked_at=ago(days=91)),
        lambda user: aged(token(user), days=4000),
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_beyond_its_limit_it_goes_and_within_it_stays(kind: str, dana: User) -> None:
    beyond, within = (make(dana) for make in CASES[kind])
    prune_all()
    assert (exists(beyond), exists(within)) == (False, True)
    prune_all()
    assert exists(within)


def test_sign_ins_are_forgotten(db: None) -> None:
    from axes.models import AccessAttempt, AccessLog

    old = [
        aged(AccessLog.objects.create(username="dana"), days=91),
        aged(AccessAttempt.objects.create(failures_since_start=1), days=91),
    ]
    young = aged(AccessLog.objects.create(username="dana"), days=89)
    prune_all()
    assert [exists(row) for row in [*old, young]] == [False, False, True]


def test_audit_and_metering_are_kept_for_ever(workspace: Workspace, change: Change) -> None:
    AuditEvent.objects.count()
    resource = MeteredResource.objects.create(workspace=workspace, address="a.b", type="a", kind="volume")
    long_ago = timezone.now() - timedelta(days=10_000)
    ResourceInterval.objects.create(
        resource=resource, workspace=workspace, team=workspace.team, user=workspace.owner,
        state="present", started_at=long_ago, ended_at=long_ago + timedelta(days=1), seen_at=long_ago,
    )  # fmt: skip
    events = AuditEvent.objects.count()
    assert events
    prune_all()
    assert ResourceInterval.objects.count() == 1
    assert AuditEvent.objects.count() == events
    for queryset in (expired() for expired in retention._prunes.values()):
        assert queryset.model not in (AuditEvent, ResourceInterval, MeteredResource)


def test_a_batch_at_a_time_and_one_kind_keeps_no_other_waiting(
    workspace: Workspace, dana: User, monkeypatch: pytest.MonkeyPatch, django_assert_max_num_queries: Any
) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    LiveEvent.objects.bulk_create(LiveEvent(audience="a", topic="t", kind="s") for _ in range(35))
    LiveEvent.objects.update(created_at=ago(days=3))
    assert prune_all()["live events"] == 35
    assert not LiveEvent.objects.exists()


def test_a_kind_that_fails_keeps_no_other_from_being_pruned(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    prunes = {"broken": lambda: LiveEvent.objects.extra(where=["no_such_column = 1"]), **retention._prunes}
    monkeypatch.setattr(retention, "_prunes", prunes)
    row = session(-1)
    from django.db import transaction

    real = retention._prune

    def contained(*arguments: Any) -> int:
        with transaction.atomic():
            return real(*arguments)

    monkeypatch.setattr(retention, "_prune", contained)
    prune_all()
    assert not exists(row)


# On the machine ------------------------------------------------------------------------------------------------------


class Runtimes:
    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def unreferenced_remove(self, **options: Any) -> list[str]:
        self.asked.append(options)
        return []


def folder(root: Path, workspace: Workspace, name: object, *, hours: float) -> Path:
    path = root / "workspaces" / str(workspace.pk) / "changes" / str(name)
    (path / "plan").mkdir(parents=True)
    for entry in (path / "plan", path):
        os.utime(entry, (time.time() - hours * 3600,) * 2)
    return path


def test_folders_of_ended_changes_go_and_those_under_way_stay(
    workspace: Workspace, change: Change, tmp_path: Path
) -> None:
    left = folder(tmp_path, workspace, change.pk, hours=0)
    values = left.parents[1] / "work" / "terraform.tfvars.json"
    values.parent.mkdir()
    values.write_text("{}")
    assert changes_forget_ended(tmp_path) == 0
    assert left.exists()
    assert values.exists()
    finish(change, hours=2)
    assert changes_forget_ended(tmp_path) == 1
    assert not left.exists()
    assert not values.exists()
    assert changes_forget_ended(tmp_path) == 0


def test_folders_of_unknown_changes_stay_for_a_while(workspace: Workspace, tmp_path: Path) -> None:
    unknown = folder(tmp_path, workspace, uuid.uuid4(), hours=48)
    forgotten = folder(tmp_path, workspace, uuid.uuid4(), hours=24 * 31)
    changes_forget_ended(tmp_path)
    assert unknown.exists()
    assert not forgotten.exists()


def test_runtimes_of_services_are_named(db: None) -> None:
    runtimes = Runtimes()
    record = SimpleNamespace(spec=SimpleNamespace(runtime="d" * 64))
    machine: Any = SimpleNamespace(runtimes=runtimes, services=SimpleNamespace(records=lambda: [record]))
    runtimes_remove(machine)
    assert runtimes.asked == [{"keep": 5, "used": {"d" * 64}, "unwanted": set()}]


def test_cursors_of_destroyed_workspaces_go(workspace: Workspace) -> None:
    cursor = LogCursor.objects.create(workspace=workspace, source="application/app", position="1")
    prune_all()
    assert exists(cursor)
    Workspace.objects.filter(pk=workspace.pk).update(destroyed_at=ago(days=31))
    prune_all()
    assert not exists(cursor)
