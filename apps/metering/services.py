"""Writes intervals from what provisioning knows: state versions, processes of services, owners, ends of workspaces.

Each function can be called twice, late or out of turn and comes to the same result; `apps/metering/tasks.py` calls
them again for whatever a crash has kept from being written.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.core.crypto import decrypt
from apps.metering.models import MeteredResource, ResourceInterval, WorkspaceMeter
from apps.metering.sizes import Found, resources_found
from apps.metering.timeline import (
    interval_begin,
    interval_end,
    interval_hand_over,
    interval_resize,
    interval_run,
    state_of,
)
from apps.provisioning.models import LogLine, ServiceStatus, StateVersion, Workspace

log = logging.getLogger(__name__)

VERSIONS_AT_ONCE = 100
# What Terraform says of a resource in its JSON log, see "Machine-Readable UI: apply_complete".
COMPLETE = re.compile(r"(?P<address>\S.*?): (?P<what>Creation|Modifications|Destruction) complete after ")


@contextmanager
def workspace_metered(workspace_id: UUID) -> Iterator[tuple[Workspace, WorkspaceMeter]]:
    """Hold the meter of a workspace until the transaction ends."""
    with transaction.atomic():
        WorkspaceMeter.objects.bulk_create([WorkspaceMeter(workspace_id=workspace_id)], ignore_conflicts=True)
        meter = WorkspaceMeter.objects.select_for_update().get(pk=workspace_id)
        yield Workspace.objects.defer("resources", "outputs").get(pk=workspace_id), meter


def states_meter(
    *, workspace_id: UUID, known: dict[int, dict[str, Any]] | None = None, limit: int = VERSIONS_AT_ONCE
) -> int:
    """Meter the state versions of a workspace that have not been, oldest first; returns how many.

    `known` are contents, by id of the version, that need not be decrypted.
    """
    with workspace_metered(workspace_id) as (workspace, meter):
        versions = StateVersion.objects.filter(workspace_id=workspace_id, id__gt=meter.state_version)
        done = 0
        for version in versions.order_by("id")[:limit]:
            content = (known or {}).get(version.pk)
            if content is None:
                content = _content(version)
            if content is not None:
                _state_meter(workspace, version, resources_found(content))
            meter.state_version = version.pk
            done += 1
        if done:
            meter.done = False
            meter.save(update_fields=["state_version", "done"])
        return done


def process_meter(
    *, workspace_id: UUID, service: str, run_started_at: datetime | None, alive_until: datetime | None, now: datetime
) -> None:
    """A service's process is now the one begun at `run_started_at`; the former one was last seen at `alive_until`."""
    with workspace_metered(workspace_id):
        rows = ResourceInterval.objects.open().filter(
            workspace_id=workspace_id, resource__kind=MeteredResource.Kind.SERVICE, resource__service=service
        )
        for row in rows:
            interval_run(row, run_started_at=run_started_at, alive_until=alive_until, now=now)


def ownership_meter(*, workspace_id: UUID) -> None:
    """Call in the transaction that gives a workspace another team or owner: from now on it counts for them."""
    now = timezone.now()
    with workspace_metered(workspace_id) as (workspace, _):
        for row in ResourceInterval.objects.open().filter(workspace_id=workspace_id):
            interval_hand_over(row, team_id=workspace.team_id, user_id=workspace.owner_id, at=now)


def workspace_end(*, workspace_id: UUID) -> bool:
    """End what is still open of a destroyed workspace; False where it is not destroyed or not yet metered."""
    with workspace_metered(workspace_id) as (workspace, meter):
        behind = StateVersion.objects.filter(workspace_id=workspace_id, id__gt=meter.state_version)
        if workspace.destroyed_at is None or behind.exists():
            return False
        services = {row.name: row for row in ServiceStatus.objects.filter(workspace_id=workspace_id)}
        now = timezone.now()
        for row in ResourceInterval.objects.open().filter(workspace_id=workspace_id).select_related("resource"):
            _end(row, services, at=workspace.destroyed_at, now=now)
        meter.done = True
        meter.save(update_fields=["done"])
        return True


def _state_meter(workspace: Workspace, version: StateVersion, found: dict[str, Found]) -> None:
    """What exists since this state: new resources begin, changed ones go on with another size, missing ones end."""
    now = timezone.now()
    times = _complete_times(version)
    services = {row.name: row for row in ServiceStatus.objects.filter(workspace=workspace)}
    opened = ResourceInterval.objects.open().filter(workspace=workspace).select_related("resource")
    present = {row.resource.address: row for row in opened}
    for address, row in present.items():
        if address not in found:
            _end(row, services, at=times.get((address, "Destruction"), version.created_at), now=now)
    for address, resource in found.items():
        if address in present:
            # What stops and starts it may be another resource: then the state's own time is near enough.
            at = times.get((address, "Modifications"), version.created_at)
            interval_resize(present[address], size=resource.size, at=at, now=now, state=state_of(resource))
            continue
        status = services.get(resource.service) if resource.service else None
        interval_begin(
            workspace=workspace,
            found=resource,
            run_started_at=status.started_at if status else None,
            created_at=times.get((address, "Creation"), version.created_at),
            now=now,
        )


def _end(row: ResourceInterval, services: dict[str, ServiceStatus], *, at: datetime, now: datetime) -> None:
    status = services.get(row.resource.service) if row.resource.service else None
    interval_end(row, at=at, now=now, alive_until=status.observed_at if status else None)


def _complete_times(version: StateVersion) -> dict[tuple[str, str], datetime]:
    """When Terraform said it was done with a resource: exact also where nobody watched while it worked."""
    if version.change_id is None:
        return {}
    lines = LogLine.objects.filter(change_id=version.change_id, stream=LogLine.Stream.BUILD, at__lte=version.created_at)
    if (applying_at := version.change.applying_at if version.change else None) is not None:
        lines = lines.filter(at__gte=applying_at)
    texts: Iterable[tuple[str, datetime]] = lines.filter(text__contains=" complete after ").values_list("text", "at")
    matches = ((COMPLETE.match(text), at) for text, at in texts)
    return {(match["address"], match["what"]): at for match, at in matches if match}


def _content(version: StateVersion) -> dict[str, Any] | None:
    """None where it cannot be read, with a key that is lost: what follows it is metered all the same."""
    try:
        content = json.loads(decrypt(bytes(version.cipher)))
    except Exception:
        log.exception("state version %s cannot be metered", version.pk)
        return None
    return content if isinstance(content, dict) else None
