from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.factories import People


@pytest.fixture
def people(db: None) -> "People":
    from tests.cast import cast_make

    return cast_make()


@pytest.fixture
def everybody(people: "People") -> Any:
    """A set of everybody's with a secret."""
    from apps.variable_sets.services import variable_set_create

    return variable_set_create(actor=people.pete, name="Proxy")


@pytest.fixture
def vision(people: "People") -> Any:
    """A set of vision's on local machines, which its manager may write."""
    from apps.variable_sets.services import variable_set_create

    return variable_set_create(actor=people.mira, name="Vision cloud", team=people.vision, target="local")
