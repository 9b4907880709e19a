"""Who hears of an environment on the live stream: whoever may see it."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts.models import Membership, User
from apps.core.events import Audience
from apps.environments.models import Environment

if TYPE_CHECKING:
    from tests.factories import People

pytestmark = pytest.mark.django_db(transaction=True)


def audience(person: User) -> Audience:
    from portal.doors import audience_of

    client = Client()
    client.force_login(person)
    cookie = f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
    heard: Audience = asyncio.run(audience_of({"headers": [(b"cookie", cookie.encode())]}))
    return heard


def test_an_owner_who_left_the_team_still_hears_of_what_is_their_own(people: "People") -> None:
    from tests.factories import environment_make

    own: Environment = environment_make(people)
    other: Environment = environment_make(people, owner=people.mira)
    team = f"team:{people.vision.pk}"
    assert audience(people.dana).hears(team, own.topic)

    Membership.objects.filter(user=people.dana, team=people.vision).delete()

    assert set(Environment.objects.visible_to(people.dana)) == {own}
    assert audience(people.dana).hears(team, own.topic)
    assert not audience(people.dana).hears(team, other.topic)
    assert not audience(people.mallory).hears(team, own.topic)
