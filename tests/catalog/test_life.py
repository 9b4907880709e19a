"""Draft, published, deprecated, revoked: who may move a version, when, and what follows from it."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from apps.catalog.exceptions import ChecksRunning, SourceInvalid, VersionNotReady, VersionState
from apps.core.exceptions import NotAllowed

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def latest(slug: str = "sample") -> str | None:
    from apps.catalog.models import Module

    version = Module.objects.get(slug=slug).latest_version
    return version.version if version else None


def test_a_draft_is_seen_by_its_keepers_alone(draft: Make, people: Any) -> None:
    from apps.catalog.models import Module, ModuleVersion

    draft()
    for person, sees in ((people.pete, True), (people.ada, True), (people.dana, False)):
        assert Module.objects.visible_to(person).exists() is sees
        assert ModuleVersion.objects.visible_to(person).exists() is sees


def test_publishing_offers_it_to_everybody(draft: Make, people: Any) -> None:
    from apps.audit.models import AuditEvent
    from apps.catalog.models import Module
    from apps.catalog.services import module_version_publish

    version = module_version_publish(version=draft(), actor=people.pete)
    assert (version.status, version.published_by, latest()) == ("published", people.pete, "1.0.0")
    assert Module.objects.visible_to(people.dana).launchable().exists()
    assert AuditEvent.objects.filter(action="catalog:module-version:published", actor=people.pete).count() == 1
    assert module_version_publish(version=version, actor=people.pete).status == "published"
    assert AuditEvent.objects.filter(action="catalog:module-version:published").count() == 1


@pytest.mark.parametrize(
    ("checks", "words"), [(None, "not done"), ("running", "not done"), ("failed", "Formatting failed: As told")]
)
def test_what_has_not_passed_is_not_published(draft: Make, people: Any, checks: str | None, words: str) -> None:
    from apps.catalog.services import module_version_publish

    version = draft(checks=checks)
    with pytest.raises(VersionNotReady, match=words):
        module_version_publish(version=version, actor=people.pete)
    assert latest() is None


def test_only_platform_engineers_move_versions(draft: Make, people: Any) -> None:
    from apps.catalog import services

    version = draft()
    for person in (people.dana, people.mira, people.ada, people.mallory):
        with pytest.raises(NotAllowed):
            services.module_version_publish(version=version, actor=person)
        with pytest.raises(NotAllowed):
            services.module_version_revoke(version=version, actor=person, reason="no")
        with pytest.raises(NotAllowed):
            services.checks_repeat(version=version, actor=person)


def test_the_newest_published_version_is_launched_whatever_the_order(published: Make) -> None:
    published("1.9.0")
    published("1.10.0")
    published("1.8.5")
    published("2.0.0-rc.1")
    assert latest() == "2.0.0-rc.1"
    published("2.0.0")
    published("1.10.1")
    assert latest() == "2.0.0"


def test_a_withdrawn_version_gives_way_to_the_one_before(published: Make, people: Any) -> None:
    from apps.catalog import services

    published("1.0.0")
    newer = published("1.1.0")
    services.module_version_deprecate(version=newer, actor=people.pete, reason="It loses files")
    assert latest() == "1.0.0"
    services.module_version_revoke(version=newer, actor=people.pete, reason="It really does")
    newer.refresh_from_db()
    assert (newer.status, newer.status_reason, newer.is_launchable, newer.is_startable) == (
        "revoked", "It really does", False, False,
    )  # fmt: skip
    services.module_version_restore(version=newer, actor=people.pete, reason="It does not")
    assert latest() == "1.1.0"


def test_states_that_do_not_follow_one_another_are_refused(draft: Make, published: Make, people: Any) -> None:
    from apps.catalog import services

    fresh = draft("1.0.0")
    with pytest.raises(VersionState):
        services.module_version_deprecate(version=fresh, actor=people.pete, reason="x")
    with pytest.raises(VersionState):
        services.module_version_restore(version=fresh, actor=people.pete, reason="x")
    revoked = published("1.1.0")
    services.module_version_revoke(version=revoked, actor=people.pete, reason="x")
    with pytest.raises(VersionState):
        services.module_version_deprecate(version=revoked, actor=people.pete, reason="x")
    with pytest.raises(VersionState):
        services.module_version_publish(version=revoked, actor=people.pete)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 401])
def test_a_reason_is_needed(published: Make, people: Any, reason: str) -> None:
    from apps.catalog.services import module_version_revoke

    with pytest.raises(SourceInvalid):
        module_version_revoke(version=published(), actor=people.pete, reason=reason)


def test_checks_run_again_from_the_beginning(draft: Make, people: Any) -> None:
    from apps.catalog.services import checks_repeat

    version = draft(checks="failed")
    checks = checks_repeat(version=version, actor=people.pete)
    assert {(check.status, check.attempt, check.summary) for check in checks} == {("queued", 2, "")}
    with pytest.raises(ChecksRunning):
        checks_repeat(version=version, actor=people.pete)


def test_a_check_of_an_agent_that_is_gone_is_run_again(draft: Make) -> None:
    import uuid

    from django.utils import timezone

    from apps.catalog.services.claims import Claimant, abandoned_requeue, check_claim, check_done
    from apps.provisioning.agent.module_work import claims_held
    from tests.factories import MachineFactory

    version = draft(checks=None)
    gone, living = Claimant(uuid.uuid4(), 1), Claimant(uuid.uuid4(), 4)
    later = timezone.now() + timezone.timedelta(seconds=20)
    MachineFactory(holder=living.holder, fence=4, expires_at=later)
    first = check_claim(gone)
    assert first.name == "fmt"
    assert check_claim(living) is None  # another agent is at this version
    assert abandoned_requeue(claims_held()) == 1
    again = check_claim(living)
    assert (again.name, again.attempt) == ("fmt", 2)
    assert abandoned_requeue(claims_held()) == 0
    # The first one comes back to life: what it says is no longer asked for.
    assert not check_done(first, gone, status="passed", summary="", output="", engine="")
    assert check_done(again, living, status="failed", summary="No\x00", output="x" * 100_000, engine="t")
    row = version.checks.get(name="fmt")
    assert (row.status, row.summary) == ("failed", "No")
    assert len(row.output) <= 64_100


class TestEnvironments:
    """What becomes of environments whose version is withdrawn."""

    @pytest.fixture
    def environment(self, people: Any) -> Any:
        from tests.factories import environment_running

        return environment_running(people, name="nb-churn")

    def test_owners_are_told_once_and_pages_flag_it(self, environment: Any, people: Any) -> None:
        from django.test import Client

        from apps.catalog.services import module_version_deprecate
        from apps.notifications.models import Notification

        version = environment.module_version
        module_version_deprecate(version=version, actor=people.pete, reason="Use 2.0.0")
        module_version_deprecate(version=version, actor=people.pete, reason="Use 2.0.0")
        told = Notification.objects.get(user=people.dana, text__contains="deprecated")
        assert told.text.startswith("nb-churn: Notebook")
        assert "Use 2.0.0" in told.text
        client = Client()
        client.force_login(people.dana)
        assert "is deprecated" in client.get(f"/environments/{environment.pk}/").content.decode()
        assert "Deprecated" in client.get(told.url).content.decode()
        assert client.get(f"/api/v1/environments/{environment.pk}/").json()["version_status"] == "deprecated"

    def test_a_deprecated_version_is_started_and_not_launched(self, environment: Any, people: Any) -> None:
        from apps.catalog.services import module_version_deprecate
        from apps.environments.exceptions import LaunchInvalid
        from apps.environments.services import environment_start, environment_stop
        from tests.factories import change_drive, change_of, environment_make

        module_version_deprecate(version=environment.module_version, actor=people.pete, reason="Old")
        environment_stop(environment=environment, actor=people.dana)
        change_drive(change_of(environment))
        assert environment_start(environment=environment, actor=people.dana).status == "starting"
        version = environment.module_version
        version.refresh_from_db()
        with pytest.raises(LaunchInvalid) as refused:
            environment_make(people, name="another", module_version=version)
        assert "deprecated" in refused.value.errors["version"][0]

    def test_a_revoked_version_runs_on_stops_and_does_not_start(self, environment: Any, people: Any) -> None:
        from apps.catalog.services import module_version_revoke
        from apps.environments.exceptions import VersionRevoked
        from apps.environments.services import environment_destroy, environment_start, environment_stop
        from tests.factories import change_drive, change_of

        module_version_revoke(version=environment.module_version, actor=people.pete, reason="A hole")
        environment.refresh_from_db()
        assert environment.status == "running"
        environment_stop(environment=environment, actor=people.dana)
        change_drive(change_of(environment))
        with pytest.raises(VersionRevoked, match="A hole"):
            environment_start(environment=environment, actor=people.dana)
        environment.refresh_from_db()
        assert environment.status == "stopped"
        environment_destroy(environment=environment, actor=people.dana, confirm="nb-churn")


def together(*works: Callable[[], Any]) -> list[Any]:
    """Run at the same moment; what each answered or raised."""
    results: list[Any] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(number: int, work: Callable[[], Any]) -> None:
        gate.wait()
        try:
            results[number] = work()
        except Exception as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def test_two_versions_published_at_once_leave_the_newer_one(self, draft: Make, people: Any) -> None:
        from apps.catalog.services import module_version_publish

        for number in range(4):
            rows = [draft(f"1.{number}.{part}") for part in (0, 1)]
            done = together(
                *(lambda row=row: module_version_publish(version=row, actor=people.pete) for row in rows)  # type: ignore[misc]
            )
            assert [row.status for row in done] == ["published", "published"]
            assert latest() == f"1.{number}.1"

    def test_one_version_published_twice_at_once_is_published_once(self, draft: Make, people: Any) -> None:
        from apps.audit.models import AuditEvent
        from apps.catalog.services import module_version_publish

        row = draft()
        together(*[lambda: module_version_publish(version=row, actor=people.pete)] * 4)
        assert AuditEvent.objects.filter(action="catalog:module-version:published").count() == 1

    def test_the_same_version_registered_at_once_is_one(self, people: Any, tmp_path: Any) -> None:
        from apps.catalog.models import ModuleSource, ModuleVersion
        from apps.catalog.services import module_version_register
        from tests.catalog.modules import module_write

        path = module_write(tmp_path / "sample")
        origin = ModuleSource.objects.create(kind="upload", slug="sample")
        done = together(
            *[lambda: module_version_register(path=path, slug="sample", actor=people.pete, origin=origin, source="x")]
            * 4
        )
        assert sorted(is_new for _, is_new in done) == [False, False, False, True]
        assert ModuleVersion.objects.count() == 1
        assert ModuleVersion.objects.get().checks.count() == 4

    def test_one_retrieval_of_a_source_at_a_time_and_one_agent_for_each(self, people: Any) -> None:
        import uuid

        from apps.catalog.exceptions import RetrievalActive
        from apps.catalog.services import retrieval_request, source_create
        from apps.catalog.services.claims import Claimant, retrieval_claim

        source = source_create(actor=people.pete, slug="sample", url="https://git.example.com/a.git")
        asked = together(*[lambda: retrieval_request(source=source, actor=people.pete)] * 4)
        assert sum(isinstance(answer, RetrievalActive) for answer in asked) == 3
        claimed = together(*[lambda: retrieval_claim(Claimant(uuid.uuid4(), 1))] * 4)
        assert sum(answer is not None for answer in claimed) == 1
