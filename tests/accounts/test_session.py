"""Signing in and out."""

from typing import Any
from urllib.parse import urlencode

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from tests.cast import PASSWORD, Cast, browser

SIGN_IN = "/accounts/sign-in/"


def fields(password: str = PASSWORD, **more: str) -> dict[str, str]:
    return {"username": "dana", "password": password, **more}


def test_signing_in_leads_home_and_is_recorded(cast: Cast) -> None:
    answer = browser(None).post(SIGN_IN, fields())
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert AuditEvent.objects.get(action="accounts:session:signed-in").actor == cast.dana


@pytest.mark.parametrize(
    ("asked", "lands"),
    [("/inbox/", "/inbox/"), ("https://evil.example/", "/"), ("//evil.example", "/"), ("\\\\evil", "/")],
)
def test_next_leads_into_the_portal_only(cast: Cast, asked: str, lands: str) -> None:
    assert browser(None).post(SIGN_IN, fields(next=asked))["Location"] == lands


def test_a_wrong_password_says_nothing_of_who_exists(cast: Cast) -> None:
    wrong = browser(None).post(SIGN_IN, fields("wrong"))
    unknown = browser(None).post(SIGN_IN, {"username": "nobody", "password": "wrong"})
    assert wrong.status_code == unknown.status_code == 422
    assert "do not match" in wrong.content.decode()
    assert "do not match" in unknown.content.decode()
    event = AuditEvent.objects.get(action="accounts:session:sign-in-failed")
    assert (event.actor, event.target_name) == (None, "dana")


@pytest.mark.parametrize(("name", "status"), [("\x00dana", 400), ("d" * 5000, 422), ("dana\ud800", 422)])
def test_hostile_names_do_not_break_it(cast: Cast, name: str, status: int) -> None:
    body = urlencode({"username": name, "password": "x"}, errors="surrogatepass")
    answer = browser(None).post(SIGN_IN, body, "application/x-www-form-urlencoded")
    assert answer.status_code == status


def test_the_form_is_one_that_password_managers_know(cast: Cast) -> None:
    page = browser(None).get(SIGN_IN).content.decode()
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page


def test_too_many_tries_wait_with_a_page_that_says_how_long(cast: Cast, settings: Any) -> None:
    settings.AXES_ENABLED, settings.AXES_FAILURE_LIMIT = True, 3
    client = browser(None)
    answers = [client.post(SIGN_IN, fields("wrong")).status_code for _ in range(3)]
    assert answers[-1] == 429
    locked = client.post(SIGN_IN, fields())
    assert locked.status_code == 429, "the right password does not help while it waits"
    assert locked["Retry-After"] == "900"
    assert "Too many tries" in locked.content.decode()
    other = client.post(SIGN_IN, {"username": "mira", "password": PASSWORD})
    assert other.status_code == 302, "other people are not held up"


def test_signing_out_ends_the_session(cast: Cast) -> None:
    client = browser(cast.dana)
    assert client.post(reverse("accounts:sign_out")).status_code == 302
    assert client.get("/").status_code == 302
    assert AuditEvent.objects.filter(action="accounts:session:signed-out", actor=cast.dana).exists()


def test_another_password_ends_other_sessions_and_keeps_this_one(cast: Cast) -> None:
    here, elsewhere = browser(cast.dana), browser(cast.dana)
    new = "a quite different phrase"
    answer = here.post(reverse("accounts:password"), {"current": PASSWORD, "new": new})
    assert answer.status_code == 302
    assert here.get("/").status_code == 200
    assert elsewhere.get("/").status_code == 302


@pytest.mark.parametrize(
    ("current", "new", "field"), [("wrong", "a quite different phrase", "current"), (PASSWORD, "short", "new")]
)
def test_a_password_that_cannot_be_is_said_beside_its_field(cast: Cast, current: str, new: str, field: str) -> None:
    answer = browser(cast.dana).post(reverse("accounts:password"), {"current": current, "new": new})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]


def test_a_switched_off_person_is_out_at_once(cast: Cast) -> None:
    client = browser(cast.dana)
    cast.dana.is_active = False
    cast.dana.save()
    assert client.get("/").status_code == 302
    assert browser(None).post(SIGN_IN, fields()).status_code == 422
