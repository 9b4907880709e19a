"""Making, editing and deprecating, and what is told of it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from apps.audit.models import AuditEvent
from apps.core.exceptions import NotAllowed
from apps.environments.models import Environment
from apps.notifications.models import Notification
from apps.runtimes.exceptions import RuntimeBusy, RuntimeInvalid, RuntimeTaken, RuntimeUnchanged, RuntimeWrongStatus
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.registry import counts_of, uses_of
from apps.runtimes.services import (
    runtime_change,
    runtime_create,
    runtime_version_create,
    runtime_version_deprecate,
    runtime_version_failed,
    runtime_version_locked,
    runtime_version_ready,
    runtime_version_restore,
    runtime_version_retry,
)
from tests.factories import People, environment_running, people_make
from tests.runtimes.making import LOCK, NOTEBOOK_LOCK, MakeReady


def actions() -> list[str]:
    return list(AuditEvent.objects.filter(action__startswith="runtimes:").values_list("action", flat=True))


def test_the_first_version_waits_for_an_agent(people: People) -> None:
    version = runtime_create(actor=people.pete, slug="ml", title="  ML   stuff ", requirements="six\r\nidna")
    assert (version.number, version.status, version.requirements) == (1, "locking", "six\nidna\n")
    assert version.runtime.title == "ML stuff"
    assert version.runtime.latest_version is None
    assert sorted(actions()) == ["runtimes:runtime:created", "runtimes:version:created"]


@pytest.mark.parametrize("name", ["dana", "mira", "ada", "mallory"])
def test_only_platform_engineers_make_anything(people: People, ready: MakeReady, name: str) -> None:
    user, version = getattr(people, name), ready()
    before = AuditEvent.objects.count()
    attempts: list[Callable[[], Any]] = [
        lambda: runtime_create(actor=user, slug="x", title="X", requirements="six"),
        lambda: runtime_change(runtime=version.runtime, actor=user, title="Y", summary=""),
        lambda: runtime_version_create(runtime=version.runtime, actor=user, requirements="idna"),
        lambda: runtime_version_retry(version=version, actor=user),
        lambda: runtime_version_deprecate(version=version, actor=user),
        lambda: runtime_version_restore(version=version, actor=user),
    ]
    for attempt in attempts:
        with pytest.raises(NotAllowed):
            attempt()
    assert AuditEvent.objects.count() == before


def test_what_is_wrong_is_said_for_each_field(people: People) -> None:
    with pytest.raises(RuntimeInvalid) as caught:
        runtime_create(
            actor=people.pete, slug="Bad Slug", title=" ", requirements="-e .", python="2.7", summary="x" * 301
        )
    assert set(caught.value.errors) == {"slug", "title", "requirements", "python", "summary"}
    assert Runtime.objects.count() == 0


def test_a_name_is_given_once(people: People, ready: MakeReady) -> None:
    ready()
    with pytest.raises(RuntimeTaken):
        runtime_create(actor=people.pete, slug="ml", title="Other", requirements="six")
    with pytest.raises(RuntimeInvalid):
        runtime_create(actor=people.pete, slug="new", title="An address of the pages", requirements="six")


def test_locked_built_ready_and_only_then_the_latest(people: People) -> None:
    version = runtime_create(actor=people.pete, slug="ml", title="ML", requirements="six")
    runtime_version_locked(version_id=version.pk, lock=LOCK)
    version.refresh_from_db()
    assert (version.status, version.packages) == (
        "building",
        [{"name": "idna", "version": "3.10"}, {"name": "six", "version": "1.17.0"}],
    )
    assert Runtime.objects.get().latest_version is None
    runtime_version_ready(version_id=version.pk, size_bytes=1)
    assert Runtime.objects.get().latest_version == version


def test_a_version_that_fails_never_becomes_the_latest(people: People, ready: MakeReady) -> None:
    first = ready()
    second = runtime_version_create(runtime=first.runtime, actor=people.pete, requirements="idna")
    runtime_version_locked(version_id=second.pk, lock=LOCK)
    runtime_version_failed(version_id=second.pk, status="building", reason="No room.", log="error")
    second.refresh_from_db()
    assert (second.status, second.reason, second.log) == ("failed", "No room.", "error")
    assert Runtime.objects.get().latest_version == first
    retried = runtime_version_retry(version=second, actor=people.pete)
    assert retried.status == "building", "its lock is kept"


def test_a_late_report_of_another_agent_changes_nothing(people: People, ready: MakeReady) -> None:
    version = ready()
    assert runtime_version_locked(version_id=version.pk, lock="x") is None
    assert runtime_version_ready(version_id=version.pk, size_bytes=9) is None
    assert runtime_version_failed(version_id=version.pk, status="building", reason="late", log="") is None
    version.refresh_from_db()
    assert (version.status, version.size_bytes) == ("ready", 5_000_000)


def test_one_version_is_made_at_a_time_and_the_same_twice_only_by_force(people: People, ready: MakeReady) -> None:
    first = ready()
    with pytest.raises(RuntimeUnchanged):
        runtime_version_create(runtime=first.runtime, actor=people.pete, requirements="six")
    runtime_version_create(runtime=first.runtime, actor=people.pete, requirements="six", force=True)
    with pytest.raises(RuntimeBusy):
        runtime_version_create(runtime=first.runtime, actor=people.pete, requirements="idna")


def test_a_deprecated_version_goes_on_and_owners_are_told_once(people: People, ready: MakeReady) -> None:
    old, new = ready(), ready()
    environment = environment_running(people, runtime="ml@1")
    assert environment.runtime_version == old
    Notification.objects.all().delete()
    runtime_version_deprecate(version=old, actor=people.pete, reason="holds an old pandas")
    runtime_version_deprecate(version=old, actor=people.pete)
    (told,) = Notification.objects.filter(user=people.dana)
    assert "nb runs in ML, version 1, which is deprecated. holds an old pandas." in told.text
    assert "Version 2 takes its place" in told.text
    assert Environment.objects.get().status == "running"
    assert Runtime.objects.get().latest_version == new
    with pytest.raises(RuntimeWrongStatus):
        runtime_version_retry(version=old, actor=people.pete)


def test_the_latest_follows_deprecation_and_its_end(people: People, ready: MakeReady) -> None:
    first, second = ready(), ready()
    runtime_version_deprecate(version=second, actor=people.pete)
    assert Runtime.objects.get().latest_version == first
    runtime_version_deprecate(version=first, actor=people.pete)
    assert Runtime.objects.get().latest_version is None
    runtime_version_restore(version=second, actor=people.pete)
    assert Runtime.objects.get().latest_version == second


def test_who_uses_it_is_named_to_those_who_may_see_them(people: People, ready: MakeReady) -> None:
    version = ready()
    environment_running(people, runtime="ml")
    assert counts_of([version.pk]) == {version.pk: 1}
    assert [use.name for use in uses_of([version.pk], people.pete).shown] == ["nb"]
    stranger = uses_of([version.pk], people.mallory)
    assert (stranger.total, stranger.shown) == (1, [])


@pytest.mark.django_db(transaction=True)
def test_two_edits_at_once_make_one_version() -> None:
    people = people_make()
    version = runtime_create(actor=people.pete, slug="ml", title="ML", requirements="six")
    runtime_version_locked(version_id=version.pk, lock=NOTEBOOK_LOCK)
    runtime_version_ready(version_id=version.pk, size_bytes=1)
    said: list[Any] = []
    barrier = threading.Barrier(4)

    def edit(name: str) -> None:
        barrier.wait()
        try:
            said.append(runtime_version_create(runtime=version.runtime, actor=people.pete, requirements=name).number)
        except RuntimeBusy:
            said.append("busy")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=edit, args=(name,)) for name in ("idna", "attrs", "toml", "click")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, said)) == ["2", "busy", "busy", "busy"]
    assert RuntimeVersion.objects.count() == 2
