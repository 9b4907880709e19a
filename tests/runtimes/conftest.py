"""The cast, Python environments, a machine. Imported here: Django is not set up when this file is read."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from apps.provisioning.machine import Machine
    from apps.runtimes.models import RuntimeVersion
    from tests.factories import People


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def ready(people: "People") -> Any:
    """Makes a version that is ready; see `version_ready`."""
    from tests.runtimes.making import version_ready

    return partial(version_ready, people)


@pytest.fixture
def failed(people: "People") -> "RuntimeVersion":
    from tests.runtimes.making import version_failed

    return version_failed(people)


@pytest.fixture
def as_person() -> Any:
    """A browser that is signed in as a person, or nobody's."""
    from django.test import Client

    def client(user: Any = None) -> Client:
        browser = Client()
        if user is not None:
            browser.force_login(user)
        return browser

    return client


@pytest.fixture
def machine(tmp_path: Path) -> "Iterator[Machine]":
    from apps.provisioning.machine import Machine

    made = Machine(tmp_path / "a", socket_path=tmp_path / "a" / "s")
    made.start()
    yield made
    made.stop_services("The test is over")
    made.close()
