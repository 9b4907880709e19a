"""The lease of a machine: one agent at a time, told apart by a fence that only grows. Times are the database's."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from apps.provisioning.exceptions import LeaseLost
from apps.provisioning.models import Change, Machine

LEASE = timedelta(seconds=20)


@dataclass(frozen=True)
class Lease:
    machine_id: uuid.UUID
    holder: uuid.UUID
    fence: int

    def renew(self, **seen: object) -> None:
        """Extend the lease and record what the agent saw of its machine; raises `LeaseLost`."""
        rows = Machine.objects.filter(pk=self.machine_id, holder=self.holder, fence=self.fence)
        if rows.update(expires_at=Now() + LEASE, seen_at=Now(), **seen) != 1:
            raise LeaseLost(f"machine {self.machine_id} is held by another agent")

    def check(self) -> None:
        """Inside a transaction: hold the machine row so that no other agent can take over before the commit."""
        held = Machine.objects.select_for_update(of=("self",), no_key=True).filter(
            pk=self.machine_id, holder=self.holder, fence=self.fence
        )
        if not held.exists():
            raise LeaseLost(f"machine {self.machine_id} is held by another agent")

    def release(self) -> None:
        Machine.objects.filter(pk=self.machine_id, holder=self.holder, fence=self.fence).update(
            expires_at=Now(), holder=None
        )


def lease_acquire(*, machine_name: str, holder: uuid.UUID | None = None) -> Lease | None:
    """Take the machine's lease if it is free or has run out, and with it every change that is going on there.

    `holder` names the folder an agent works in. Who holds the lock of that folder knows that an agent which held the
    lease in its name before is dead, and need not wait; an agent of the same name in another folder does wait, because
    Terraform may be running there.
    """
    holder = holder or uuid.uuid4()
    with transaction.atomic():
        machine, _ = Machine.objects.get_or_create(name=machine_name)
        free = Machine.objects.filter(pk=machine.pk).filter(
            Q(holder=None) | Q(holder=holder) | Q(expires_at=None) | Q(expires_at__lt=Now())
        )
        if not free.update(holder=holder, fence=F("fence") + 1, expires_at=Now() + LEASE, seen_at=Now()):
            return None
        machine.refresh_from_db()
        begun = (Change.Status.PLANNING, Change.Status.PLANNED, Change.Status.APPLYING)
        Change.objects.filter(machine=machine, status__in=begun).update(fence=machine.fence)
        return Lease(machine.pk, holder, machine.fence)


def holder_of_folder(root: Path) -> uuid.UUID:
    """The name under which agents of this folder hold leases; made once. For whoever has the folder's lock."""
    path = root / "holder"
    try:
        return uuid.UUID(path.read_text().strip())
    except (FileNotFoundError, ValueError):
        made = uuid.uuid4()
        draft = path.with_suffix(".new")
        draft.write_text(str(made))
        draft.rename(path)
        return made
