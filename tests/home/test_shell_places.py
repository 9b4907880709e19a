"""One entry of the left bar is the current one."""

import re

import pytest
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("page", "entry"),
    [("environments:list", "Environments"), ("environments:rollouts", "Rollouts"), ("catalog:register", "Modules")],
)
def test_a_page_belongs_to_one_place(client: Client, page: str, entry: str) -> None:
    from tests.factories import people_make

    client.force_login(people_make().pete)
    shown = client.get(reverse(page)).content.decode()
    bar = shown.partition("<main")[0]
    current = re.findall(r'<a[^>]*aria-current="page"[^>]*>(.*?)</a>', bar, re.DOTALL)
    assert len(current) == 1
    assert entry in current[0]


@pytest.mark.parametrize(("who", "has"), [("dana", False), ("mira", True), ("pete", True), ("ada", True)])
def test_variable_sets_are_a_place_of_those_who_keep_them(client: Client, who: str, has: bool) -> None:
    from tests.factories import people_make

    client.force_login(getattr(people_make(), who))
    bar = client.get(reverse("environments:list")).content.decode().partition("<main")[0]
    entry = f'href="{reverse("variable_sets:list")}"'
    assert (entry in bar) is has
    assert (entry in client.get(reverse("home:search"), {"q": "variable"}).content.decode()) is has
    assert ("Rollouts" in bar) is (who in ("pete", "ada"))
