"""Hears from provisioning, inside its transactions, what exists and what runs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.metering.services import process_meter, states_meter, workspace_end
from apps.provisioning import registry
from apps.provisioning.models import Change, ServiceStatus, StateVersion, Workspace

log = logging.getLogger(__name__)


def register() -> None:
    registry.on_state(state_observed)
    registry.on_process(process_observed)
    registry.on_change(change_observed)


@contextmanager
def _without_harm(workspace_id: UUID) -> Iterator[None]:
    """A fault here must not keep Terraform's outcome from being written: the reconciling task finds the rows again."""
    try:
        with transaction.atomic():
            yield
    except Exception:
        log.exception("workspace %s was not metered now; the reconciling task will", workspace_id)


def state_observed(version: StateVersion, content: dict[str, Any]) -> None:
    with _without_harm(version.workspace_id):
        states_meter(workspace_id=version.workspace_id, known={version.pk: content})


def process_observed(workspace: Workspace, service: ServiceStatus, alive_until: datetime | None) -> None:
    with _without_harm(workspace.pk):
        process_meter(
            workspace_id=workspace.pk,
            service=service.name,
            run_started_at=service.started_at,
            alive_until=alive_until,
            now=timezone.now(),
        )


def change_observed(change: Change) -> None:
    """The end of a destroy ends everything, also where Terraform left no state to tell of it."""
    if (change.kind, change.status) == (Change.Kind.DESTROY, Change.Status.APPLIED):
        with _without_harm(change.workspace_id):
            states_meter(workspace_id=change.workspace_id)
            workspace_end(workspace_id=change.workspace_id)
