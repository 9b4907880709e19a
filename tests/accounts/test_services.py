"""Teams and people: who may change what, what is kept true, what is recorded."""

import threading

import pytest
from django.core.management import call_command
from django.db import connections

from apps.accounts.exceptions import AccountInvalid, AlreadyMember, LastManager, PersonUnknown
from apps.accounts.models import Membership, User
from apps.accounts.services import (
    membership_add,
    membership_change,
    membership_remove,
    person_find,
    team_create,
    user_create,
    user_update,
)
from apps.audit.models import AuditEvent
from apps.core.exceptions import NotAllowed
from tests.cast import Cast, cast_make


def test_membership_changes_are_recorded_with_before_and_after(cast: Cast) -> None:
    row = membership_add(team=cast.vision, user=cast.mallory, role="member", actor=cast.mira)
    membership_change(membership=row, role="manager", actor=cast.mira)
    membership_remove(membership=row, actor=cast.mira)
    events = list(AuditEvent.objects.order_by("id").values_list("action", "before__role", "after__role"))
    assert events == [
        ("accounts:membership:added", None, "member"),
        ("accounts:membership:changed", "member", "manager"),
        ("accounts:membership:removed", "manager", None),
    ]
    assert set(AuditEvent.objects.values_list("team_id", flat=True)) == {cast.vision.pk}


def test_nobody_is_in_a_team_twice(cast: Cast) -> None:
    with pytest.raises(AlreadyMember):
        membership_add(team=cast.vision, user=cast.dana, role="member", actor=cast.mira)


def test_members_manage_nobody(cast: Cast) -> None:
    with pytest.raises(NotAllowed):
        membership_add(team=cast.vision, user=cast.mallory, role="member", actor=cast.dana)
    with pytest.raises(NotAllowed):
        team_create(actor=cast.mira, slug="new", name="New")


def test_the_last_manager_stays(cast: Cast) -> None:
    row = Membership.objects.get(user=cast.mira, team=cast.vision)
    with pytest.raises(LastManager):
        membership_remove(membership=row, actor=cast.pete)
    with pytest.raises(LastManager):
        membership_change(membership=row, role="member", actor=cast.mira)


@pytest.mark.django_db(transaction=True)
def test_two_managers_cannot_remove_each_other_at_once() -> None:
    cast = cast_make()
    membership_add(team=cast.vision, user=cast.pete, role="manager", actor=cast.pete)
    rows = list(Membership.objects.filter(team=cast.vision, role="manager").select_related("team"))
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def remove(row: Membership) -> None:
        barrier.wait()
        try:
            membership_remove(membership=row, actor=cast.pete)
            outcomes.append("removed")
        except LastManager:
            outcomes.append("kept")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=remove, args=[row]) for row in rows]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["kept", "removed"]


def test_people_are_found_by_username_or_by_an_address_of_their_own(cast: Cast) -> None:
    assert person_find(" dana ") == cast.dana
    assert person_find("Mira@Example.com") == cast.mira
    User.objects.filter(pk=cast.ada.pk).update(email="mira@example.com")
    for name in ("mira@example.com", "", "nobody", "@"):
        with pytest.raises(PersonUnknown):
            person_find(name)


def test_a_person_needs_a_free_name_and_a_good_password(cast: Cast) -> None:
    for fields in ({"username": "dana", "password": None}, {"username": "a b", "password": None}):
        with pytest.raises(AccountInvalid) as caught:
            user_create(actor=cast.pete, **fields)  # type: ignore[arg-type]
        assert "username" in caught.value.errors
    with pytest.raises(AccountInvalid) as caught:
        user_create(actor=cast.pete, username="zoe", password="password")
    assert "password" in caught.value.errors


def test_a_changed_name_is_recorded_and_an_unchanged_one_is_not(cast: Cast) -> None:
    user_update(user=cast.dana, actor=cast.dana, first_name="Dana", last_name="Reyes")
    event = AuditEvent.objects.get(action="accounts:user:changed")
    assert (event.before, event.after) == ({"last_name": ""}, {"last_name": "Reyes"})
    user_update(user=cast.dana, actor=cast.dana, last_name="Reyes")
    assert AuditEvent.objects.filter(action="accounts:user:changed").count() == 1


def test_the_first_platform_engineer_comes_from_the_command_line(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("a rather long first password\n"))
    call_command("create_user", "root1", "--platform-engineer", stdout=io.StringIO())
    user = User.objects.get(username="root1")
    assert user.is_platform_engineer
    assert user.check_password("a rather long first password")
