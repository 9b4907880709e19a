import threading

import pytest
from django.db import connections

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.crypto import decrypt_json
from apps.provisioning import services
from apps.provisioning.exceptions import ChangeActive, ChangeNotCancellable, KillNotAllowed, PlanOutOfDate
from apps.provisioning.leases import Lease, lease_acquire
from apps.provisioning.models import Change, Machine, Workspace
from apps.provisioning.tasks import change_wake, changes_wake


def waiting(change: Change) -> Change:
    Change.objects.filter(pk=change.pk).update(status="awaiting_approval", plan_hash="a" * 64)
    change.refresh_from_db()
    return change


def test_values_are_encrypted_at_rest(change: Change) -> None:
    assert b"cpu" not in bytes(change.values)
    assert decrypt_json(bytes(change.values)) == {"cpu": 1}


def test_a_second_change_is_refused_while_one_is_going_on(change: Change, dana: User) -> None:
    with pytest.raises(ChangeActive):
        services.change_request(workspace=change.workspace, kind="stop", values={}, requested_by=dana)


@pytest.mark.django_db(transaction=True)
def test_of_two_requests_at_once_one_wins(workspace: Workspace, dana: User) -> None:
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def ask() -> None:
        try:
            together.wait(5)
            services.change_request(workspace=workspace, kind="create", values={}, requested_by=dana)
            outcomes.append("made")
        except ChangeActive:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made", "refused"]
    assert Change.objects.count() == 1


def test_only_the_plan_that_was_shown_can_be_approved(change: Change, dana: User) -> None:
    with pytest.raises(PlanOutOfDate):
        services.change_approve(change=waiting(change), actor=dana, plan_hash="b" * 64)
    services.change_approve(change=change, actor=dana, plan_hash="a" * 64)
    change.refresh_from_db()
    assert (change.status, change.approved_hash, change.approved_by) == ("planned", "a" * 64, dana)


def test_a_change_that_has_not_begun_is_cancelled_at_once(change: Change, dana: User) -> None:
    services.change_cancel(change=change, actor=dana)
    assert Change.objects.get(pk=change.pk).status == "cancelled"
    with pytest.raises(ChangeNotCancellable):
        services.change_cancel(change=change, actor=dana)


def test_a_cancel_of_what_runs_asks_the_agent(change: Change, dana: User) -> None:
    Change.objects.filter(pk=change.pk).update(status="applying")
    change.refresh_from_db()
    services.change_cancel(change=change, actor=dana)
    change.refresh_from_db()
    assert change.status == "applying"
    assert change.cancel_requested_at


def test_killing_wants_a_platform_engineer_and_an_unheeded_cancel(change: Change, dana: User, pete: User) -> None:
    Change.objects.filter(pk=change.pk).update(status="applying")
    change.refresh_from_db()
    with pytest.raises(KillNotAllowed):
        services.change_kill_confirm(change=change, actor=pete)
    services.change_cancel(change=change, actor=dana)
    with pytest.raises(KillNotAllowed):
        services.change_kill_confirm(change=change, actor=dana)
    services.change_kill_confirm(change=change, actor=pete)
    assert Change.objects.get(pk=change.pk).kill_confirmed_at


def test_what_was_done_is_in_the_audit_log(change: Change, dana: User) -> None:
    services.change_cancel(change=change, actor=dana)
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"provisioning:change:requested", "provisioning:change:cancelled"} <= actions


def test_a_change_is_placed_on_a_live_machine_and_its_workspace_stays_there(change: Change, lease: Lease) -> None:
    change_wake(str(change.pk))
    change_wake(str(change.pk))
    change.refresh_from_db()
    assert change.machine_id == lease.machine_id == Workspace.objects.get(pk=change.workspace_id).machine_id


def test_a_change_without_a_machine_waits_and_beat_finds_it(change: Change) -> None:
    change_wake(str(change.pk))
    assert Change.objects.get(pk=change.pk).machine_id is None
    lease_acquire(machine_name="box")
    changes_wake()
    assert Change.objects.get(pk=change.pk).machine_id is not None


def test_a_lease_is_held_by_one_agent_and_its_fence_grows(lease: Lease) -> None:
    assert lease_acquire(machine_name="box") is None
    # The same folder, whose lock says that the agent before is dead.
    second = lease_acquire(machine_name="box", holder=lease.holder)
    assert second is not None
    assert second.fence == lease.fence + 1


def test_a_lease_that_ran_out_can_be_taken_and_the_old_one_writes_nothing(lease: Lease) -> None:
    from apps.provisioning.exceptions import LeaseLost

    lease.renew(isolation="none")
    Machine.objects.update(expires_at="2020-01-01T00:00Z")
    assert lease_acquire(machine_name="box") is not None
    with pytest.raises(LeaseLost):
        lease.renew()
