"""Python environments that come with Slipway."""

from pathlib import Path

import pytest
from django.core.management import call_command

from apps.audit.models import AuditEvent
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.services import runtime_seed
from tests.factories import NOTEBOOK

FOLDER = NOTEBOOK / "runtime"
pytestmark = pytest.mark.django_db


def seed(lock: Path = FOLDER / "requirements.lock") -> RuntimeVersion:
    return runtime_seed(slug="sk", title="scikit-learn", requirements=FOLDER / "requirements.in", lock=lock)


def test_it_is_ready_at_once_with_the_lock_as_it_is() -> None:
    version = seed()
    assert (version.number, version.status) == (1, "ready")
    assert version.lock == (FOLDER / "requirements.lock").read_text()
    assert version.runtime.latest_version == version
    names = [package["name"] for package in version.packages]
    assert "scikit-learn" in names
    assert "appnope" not in names, "a package for another system is none of its contents"


def test_a_second_time_changes_nothing() -> None:
    first = seed()
    events = AuditEvent.objects.count()
    assert seed() == first
    assert AuditEvent.objects.count() == events


def test_another_lock_is_another_version(tmp_path: Path) -> None:
    seed()
    (tmp_path / "other.lock").write_text("six==1.17.0 \\\n    --hash=sha256:00\n")
    second = seed(tmp_path / "other.lock")
    assert second.number == 2
    assert second.packages == [{"name": "six", "version": "1.17.0"}]
    assert Runtime.objects.get().latest_version == second


def test_a_deprecated_one_stays_deprecated() -> None:
    version = seed()
    RuntimeVersion.objects.filter(pk=version.pk).update(status="deprecated")
    assert seed().status == "deprecated"
    assert RuntimeVersion.objects.count() == 1


def test_the_portal_brings_the_notebooks_own() -> None:
    call_command("seed_modules")
    call_command("seed_modules")
    version = RuntimeVersion.objects.get(runtime__slug="python-3-11-scikit-learn")
    assert version.status == "ready"
