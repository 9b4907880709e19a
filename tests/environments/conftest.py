"""People, a published notebook module, environments. Imported here: Django is not set up when this file is read."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from apps.environments.models import Environment
    from tests.factories import People


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def queued(people: "People") -> "Environment":
    from tests.factories import environment_make

    return environment_make(people)


@pytest.fixture
def running(people: "People") -> "Environment":
    from tests.factories import environment_running

    return environment_running(people)


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
