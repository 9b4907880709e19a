from typing import Any

import pytest


@pytest.fixture
def cast(db: None) -> Any:
    """The people of the tests; imported here, because Django is not set up yet when this file is read."""
    from tests.cast import cast_make

    return cast_make()
