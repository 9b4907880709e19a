"""The one way an interval begins, changes and ends, so that the intervals of a resource follow one another.

Every function wants the lock of the workspace's meter. Times are given by the clock of the machine that saw what
happened. Where that clock has been put back behind what was already seen, what happens now counts from the last moment
that is known: no interval is ever negative, and none reaches back over another.
"""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q

from apps.metering.models import MeteredResource, ResourceInterval
from apps.metering.sizes import Found, Size
from apps.provisioning.models import Workspace

S = ResourceInterval.State

# Observations of what runs are stored every few seconds.
UNSEEN = timedelta(seconds=30)


def interval_begin(
    *, workspace: Workspace, found: Found, run_started_at: datetime | None, created_at: datetime, now: datetime
) -> None:
    """The resource exists since `created_at`; a service whose process was there before that, since then."""
    resource, _ = MeteredResource.objects.get_or_create(
        workspace=workspace,
        address=found.address,
        defaults={"type": found.type, "kind": found.kind, "service": found.service},
    )
    last = ResourceInterval.objects.filter(resource=resource).order_by("-started_at", "-id").first()
    free = last.ended_at if last else None
    if free and run_started_at and run_started_at < free:
        run_started_at = None  # The row still speaks of the process of an earlier resource of this name.
    begin = min(created_at, run_started_at or created_at, now)
    if free and begin < free:
        begin = free
    run = _clamp(run_started_at, begin, now) if run_started_at else None
    state = S.STOPPED if found.kind == MeteredResource.Kind.SERVICE else state_of(found) or S.PRESENT
    row = ResourceInterval(
        resource=resource,
        workspace=workspace,
        team_id=workspace.team_id,
        user_id=workspace.owner_id,
        state=state,
        started_at=begin,
        seen_at=max(begin, now),
        **asdict(found.size),
    )
    row.save(force_insert=True)
    if run is not None:
        _split(row, at=run, now=now, state=S.RUNNING, run_started_at=run_started_at)


def state_of(found: Found) -> str | None:
    """What a state says of a cloud's machine; None where it says nothing, and of services, which are watched."""
    if found.running is None or found.kind == MeteredResource.Kind.SERVICE:
        return None
    return S.RUNNING if found.running else S.STOPPED


def interval_resize(
    row: ResourceInterval, *, size: Size, at: datetime, now: datetime, state: str | None = None
) -> None:
    """From `at` it has this size, and this state where one is given; nothing happens where it has them already."""
    wanted = {**asdict(size), **({"state": state} if state else {})}
    changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if changed:
        _split(row, at=_moment(row, at, now), now=now, **changed)


def interval_hand_over(row: ResourceInterval, *, team_id: Any, user_id: Any, at: datetime) -> None:
    """From `at` it belongs to this team and user."""
    if (row.team_id, row.user_id) != (team_id, user_id):
        _split(row, at=_moment(row, at, at), now=at, team_id=team_id, user_id=user_id)


def interval_end(row: ResourceInterval, *, at: datetime, now: datetime, alive_until: datetime | None = None) -> None:
    """The resource is gone since `at`. Where nobody saw its process for long before, it ended when last seen."""
    if row.state == S.RUNNING and alive_until is not None:
        last = max(row.seen_at, alive_until, row.started_at)
        if at - last > UNSEEN:
            row = _split(row, at=last, now=now, state=S.STOPPED, run_started_at=None)
    at = _moment(row, at, now)
    row.ended_at, row.seen_at = at, max(row.seen_at, at)
    row.save(update_fields=["ended_at", "seen_at"])


def interval_run(
    row: ResourceInterval, *, run_started_at: datetime | None, alive_until: datetime | None, now: datetime
) -> None:
    """The process in it is the one that began at `run_started_at`, or there is none.

    A former one ran until it was last seen, at `alive_until`; between the two the resource was stopped.
    """
    if row.state == S.RUNNING:
        if run_started_at == row.run_started_at:
            return
        last = max(row.seen_at, alive_until or row.seen_at)
        if run_started_at and now >= last:
            last = min(last, max(run_started_at, row.started_at))
        ended = _moment(row, last, max(now, last))
        row = _split(row, at=ended, now=max(now, ended), state=S.STOPPED, run_started_at=None)
    if run_started_at is not None:
        _reach_back(row, run_started_at)
        _split(row, at=_moment(row, run_started_at, now), now=now, state=S.RUNNING, run_started_at=run_started_at)


def _reach_back(row: ResourceInterval, to: datetime) -> None:
    """A process may be seen after the state in which its service first appears, though it was there before.

    One from before the end of an earlier resource of this name is that one's, and says nothing of this.
    """
    others = ResourceInterval.objects.filter(resource_id=row.resource_id).exclude(pk=row.pk)
    if to < row.started_at and not others.filter(Q(ended_at=None) | Q(ended_at__gt=to)).exists():
        row.started_at = to
        row.save(update_fields=["started_at"])


def _moment(row: ResourceInterval, at: datetime, now: datetime) -> datetime:
    """`at` as a moment at which the interval can end."""
    if now < row.seen_at:
        return row.seen_at
    return _clamp(at, row.started_at, now)


def _clamp(at: datetime, earliest: datetime, latest: datetime) -> datetime:
    return max(earliest, min(at, latest))


def _split(row: ResourceInterval, *, at: datetime, now: datetime, **changed: Any) -> ResourceInterval:
    """End the interval at `at` and go on in a new one that differs in `changed`; an empty one is changed in place."""
    if at <= row.started_at:
        for name, value in changed.items():
            setattr(row, name, value)
        row.seen_at = max(row.seen_at, now)
        row.save(update_fields=[*changed, "seen_at"])
        return row
    ResourceInterval.objects.filter(pk=row.pk, ended_at=None).update(ended_at=at, seen_at=max(at, row.started_at))
    following = ResourceInterval(
        resource_id=row.resource_id,
        workspace_id=row.workspace_id,
        team_id=row.team_id,
        user_id=row.user_id,
        state=row.state,
        cpu_cores=row.cpu_cores,
        memory_bytes=row.memory_bytes,
        disk_bytes=row.disk_bytes,
        gpu_count=row.gpu_count,
        size_name=row.size_name,
        started_at=at,
        seen_at=max(at, now),
        run_started_at=row.run_started_at,
    )
    for name, value in changed.items():
        setattr(following, name, value)
    following.save(force_insert=True)
    return following
