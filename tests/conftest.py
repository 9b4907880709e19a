"""Starts the real services before Django reads its settings; see `tests/services.py`."""

import os

import pytest

from tests.services import TestServices, worker_broker_select

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.test")

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


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    if _services:
        _services.stop()
