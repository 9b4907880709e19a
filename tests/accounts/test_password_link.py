"""A lost password: a platform engineer makes a link, the person sets a new one."""

from typing import Any

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from tests.cast import PASSWORD, Cast, browser

NEW = "a quite different phrase"


def made(cast: Cast, by: str = "pete") -> Any:
    return browser(getattr(cast, by)).post(reverse("accounts:password_link", args=[cast.dana.pk]))


def path_of(answer: Any) -> str:
    link: str = answer.context["link"]
    assert link.startswith("http://localhost:8000/accounts/password/")
    return link.removeprefix("http://localhost:8000")


def send(client: Any, path: str, new: str = NEW, again: str | None = None) -> Any:
    page = client.get(path)
    assert page.status_code == 302, "the token leaves the address before the form is shown"
    assert client.get(page["Location"]).status_code == 200
    return client.post(page["Location"], {"new_password1": new, "new_password2": new if again is None else again})


def test_the_link_sets_a_password_once(cast: Cast) -> None:
    signed_in, answer = browser(cast.dana), made(cast)
    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    path, person = path_of(answer), browser(None)
    done = send(person, path)
    assert (done.status_code, done["Location"]) == (302, "/accounts/sign-in/")
    cast.dana.refresh_from_db()
    assert cast.dana.check_password(NEW)
    assert signed_in.get("/").status_code == 302, "every session has ended"
    assert person.get("/").status_code == 302, "nobody is signed in by a link"
    assert browser(None).get(path).status_code == 404
    actions = AuditEvent.objects.filter(target_name="dana").values_list("action", "actor_name")
    assert ("accounts:password:link-made", "pete") in actions
    assert ("accounts:password:reset", "dana") in actions


def test_the_token_is_in_no_row(cast: Cast) -> None:
    token = path_of(made(cast)).rstrip("/").rpartition("/")[2]
    assert not any(token in str(row) for row in AuditEvent.objects.values())


@pytest.mark.parametrize("new", ["short", "password1234", "dana@example.com", ""])
def test_the_rules_hold_here_too(cast: Cast, new: str) -> None:
    assert send(browser(None), path_of(made(cast)), new).status_code == 422


def test_two_different_ones_are_refused(cast: Cast) -> None:
    assert send(browser(None), path_of(made(cast)), NEW, "another different phrase").status_code == 422
    cast.dana.refresh_from_db()
    assert cast.dana.check_password(PASSWORD)


@pytest.mark.parametrize(("by", "status"), [("mira", 403), ("ada", 403), ("mallory", 404), ("dana", 403)])
def test_only_platform_engineers_make_one(cast: Cast, by: str, status: int) -> None:
    assert made(cast, by).status_code == status


def test_a_link_of_somebody_switched_off_is_worth_nothing(cast: Cast) -> None:
    path = path_of(made(cast))
    cast.dana.is_active = False
    cast.dana.save()
    assert browser(None).get(path).status_code == 404
    assert made(cast).status_code == 400


def test_a_sign_in_ends_the_link(cast: Cast) -> None:
    path = path_of(made(cast))
    browser(None).post("/accounts/sign-in/", {"username": "dana", "password": PASSWORD})
    assert browser(None).get(path).status_code == 404


@pytest.mark.parametrize("uid", ["MQ", "x", "____", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "%00"])
def test_a_made_up_link_is_not_found(cast: Cast, uid: str) -> None:
    assert browser(None).get(f"/accounts/password/{uid}/abc-def/").status_code in (400, 404)


def test_people_in_no_team_have_the_button_too(cast: Cast) -> None:
    page = browser(cast.pete).get(reverse("accounts:people")).content.decode()
    assert reverse("accounts:password_link", args=[cast.ada.pk]) in page
    assert reverse("accounts:password_link", args=[cast.dana.pk]) in page
    assert "password-link" not in browser(cast.mira).get(reverse("accounts:people")).content.decode()
