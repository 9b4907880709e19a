import pytest

from apps.provisioning import registry
from apps.provisioning.exceptions import LeaseLost
from apps.provisioning.models import Change
from apps.provisioning.transitions import ALLOWED, ENDED, change_fail, change_step, change_transition


def claimed(change: Change, fence: int = 1) -> Change:
    Change.objects.filter(pk=change.pk).update(fence=fence)
    change.refresh_from_db()
    return change


def test_a_transition_happens_once(change: Change) -> None:
    same = Change.objects.get(pk=change.pk)
    assert change_transition(change, "planning")
    assert not change_transition(same, "planning")


def test_a_transition_that_is_not_allowed_changes_nothing(change: Change) -> None:
    assert not change_transition(change, "applied")
    change.refresh_from_db()
    assert change.status == "queued"


def test_nothing_leads_out_of_an_ended_state() -> None:
    assert not ENDED & set(ALLOWED)


def test_every_active_state_can_end() -> None:
    for status in Change.ACTIVE:
        seen, edge = {status}, {status}
        while edge:
            edge = {new for old in edge for new in ALLOWED.get(old, ())} - seen
            seen |= edge
        assert {"applied", "failed", "cancelled"} <= seen, status


def test_the_values_are_gone_when_a_change_ends(change: Change) -> None:
    assert bytes(change.values)
    change_fail(change, code="provisioning:x", summary="no")
    assert bytes(Change.objects.get(pk=change.pk).values) == b""


def test_an_agent_with_an_old_fence_may_not_write(change: Change) -> None:
    claimed(change, fence=7)
    with pytest.raises(LeaseLost):
        change_transition(change, "planning", fence=6)
    assert Change.objects.get(pk=change.pk).status == "queued"


def test_progress_never_moves_back(change: Change) -> None:
    claimed(change)
    change_transition(change, "planning", fence=1)
    change_step(change, fence=1, step="b", done=2, total=3)
    change_step(change, fence=1, step="a", done=1, total=3)
    assert Change.objects.get(pk=change.pk).steps_done == 2


def test_observers_hear_inside_the_transaction(change: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Change) -> None:
        raise RuntimeError("observer failed")

    monkeypatch.setattr(registry, "change_callbacks", registry.change_callbacks)
    registry.change_callbacks.append(refuse)
    try:
        with pytest.raises(RuntimeError):
            change_transition(change, "planning")
    finally:
        registry.change_callbacks.remove(refuse)
    assert Change.objects.get(pk=change.pk).status == "queued"
