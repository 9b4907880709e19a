"""One scene and one table for all tests of a worker; it is costly, and every request in it is undone."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def scene(django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    from django.db import transaction

    from tests.doors.scene import scene_make

    with django_db_blocker.unblock(), transaction.atomic():
        yield scene_make()
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def table(scene: Any) -> Any:
    from tests.doors.table import table_make

    return table_make(scene)


@pytest.fixture
def cast(db: None) -> Any:
    from tests.cast import cast_make

    return cast_make()
