"""Starts the real services before Django reads its settings; see `tests/services.py`."""

import os
import shutil
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

# Before anything of the portal is imported, which would choose its own.
os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings.test"

from tests.durations import longest_first
from tests.services import TestServices, worker_broker_select

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]

# On a busy machine the time that an example takes says nothing.
hypothesis.register_profile("slipway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.load_profile("slipway")

_services: TestServices | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Before pytest-django sets Django up, which it does last in this hook."""
    global _services
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        worker_broker_select(worker)
    elif not config.option.collectonly:
        _services = TestServices()
        _services.start()
    import django

    django.setup()


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, object, object]:
    """Before `-m` chooses: Playwright leaves an event loop in its process, where the other tests could not go on.

    After everybody's ordering: what takes long begins first, where processes share the files."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("e2e")
    result = yield
    if "PYTEST_XDIST_WORKER" in os.environ:
        longest_first(items)
    return result


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if _services:
        _services.stop()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Tests of races empty the tables after themselves; that the audit log refuses it is tested in tests/audit."""
    from django.db import connection

    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER audit_event_no_truncate")


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    """One Chromium for the whole run. While it lives, asyncio tests cannot run in this process: see `make test`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as session:
        started = session.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        yield started
        started.close()


def chromium() -> str:
    """`make test` names the browser it found or installed in CHROMIUM."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "No Chromium: run `make test`, which installs one, or set CHROMIUM"
    return found
