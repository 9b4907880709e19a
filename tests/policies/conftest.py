from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.factories import People


@pytest.fixture
def people(db: None) -> "People":
    from tests.factories import people_make

    return people_make()
