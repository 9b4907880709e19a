"""Sessions of the portal: made anew at sign-in, ended by what should end them; sign-in throttled and recorded."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from apps.audit.models import AuditEvent
from tests.cast import PASSWORD, Cast, browser

SIGN_IN = "/accounts/sign-in/"
NAME = django_settings.SESSION_COOKIE_NAME


def sign_in(client: Client, username: str = "dana", password: str = PASSWORD, **headers: str) -> Any:
    return client.post(SIGN_IN, {"username": username, "password": password}, **headers)


def test_a_planted_session_is_not_taken_over(cast: Cast) -> None:
    client = Client()
    client.cookies[NAME] = "planted0planted0planted0planted0"
    sign_in(client)
    assert client.cookies[NAME].value != "planted0planted0planted0planted0"
    assert not Session.objects.filter(session_key="planted0planted0planted0planted0").exists()


def test_signing_in_makes_another_session_and_another_csrf_token(cast: Cast) -> None:
    client = Client()
    client.get(SIGN_IN)
    session = client.session
    session["before"] = 1
    session.save()
    client.cookies[NAME] = session.session_key
    csrf = client.cookies[django_settings.CSRF_COOKIE_NAME].value
    sign_in(client)
    assert client.cookies[NAME].value != session.session_key
    assert client.cookies[django_settings.CSRF_COOKIE_NAME].value != csrf
    assert not Session.objects.filter(session_key=session.session_key).exists()


def test_nothing_of_one_person_is_left_for_the_next_at_the_same_browser(cast: Cast) -> None:
    client = browser(cast.mallory)
    session = client.session
    session["of"] = "mallory"
    session.save()
    client.post("/accounts/sign-out/")
    sign_in(client)
    assert "of" not in client.session
    assert client.session["_auth_user_id"] == str(cast.dana.pk)


def test_the_cookie_is_the_servers_alone_and_ends(cast: Cast) -> None:
    cookie = sign_in(Client()).cookies[NAME]
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
    assert cookie["domain"] == ""
    assert cookie["path"] == "/"
    assert int(cookie["max-age"]) == 14 * 24 * 3600


def test_a_session_ends_after_its_days_whatever_the_browser_keeps(cast: Cast) -> None:
    client = browser(cast.dana)
    assert client.get("/").status_code == 200
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert client.get("/").status_code == 302


def test_using_it_does_not_make_it_last(cast: Cast) -> None:
    client = browser(cast.dana)
    before = Session.objects.get().expire_date
    client.get("/")
    assert Session.objects.get().expire_date == before


@pytest.mark.parametrize("path", ["/", "/api/v1/me/"])
def test_switching_off_ends_pages_and_api_at_once(cast: Cast, path: str) -> None:
    client = browser(cast.dana)
    assert client.get(path).status_code == 200
    type(cast.dana).objects.filter(pk=cast.dana.pk).update(is_active=False)
    assert client.get(path).status_code in (302, 401)


def test_signing_out_is_no_link(cast: Cast) -> None:
    client = browser(cast.dana)
    assert client.get("/accounts/sign-out/").status_code == 405
    assert client.get("/").status_code == 200


@pytest.fixture
def throttled(settings: Any) -> Any:
    from django.core.cache import cache

    cache.clear()
    settings.AXES_ENABLED, settings.AXES_FAILURE_LIMIT = True, 3
    return settings


def test_a_stranger_locks_nobody_out_but_themselves(cast: Cast, throttled: Any) -> None:
    stranger = {"REMOTE_ADDR": "203.0.113.7"}
    for _ in range(8):
        answer = sign_in(Client(), password="wrong", **stranger)
    assert answer.status_code == 429
    assert sign_in(Client(), **stranger).status_code == 429
    assert sign_in(Client(), REMOTE_ADDR="198.51.100.4").status_code == 302, "dana, at her own desk"


def test_going_on_trying_does_not_make_the_wait_longer(cast: Cast, throttled: Any) -> None:
    from axes.models import AccessAttempt

    for _ in range(4):
        sign_in(Client(), password="wrong")
    last = AccessAttempt.objects.get().attempt_time
    for _ in range(5):
        assert sign_in(Client(), password="wrong").status_code == 429
    assert AccessAttempt.objects.get().attempt_time == last
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert sign_in(Client()).status_code == 302


def test_a_lock_is_recorded_once(cast: Cast, throttled: Any) -> None:
    for _ in range(9):
        sign_in(Client(), password="wrong")
    events = list(
        AuditEvent.objects.filter(action__startswith="accounts:session:sign-in").values_list("action", "after")
    )
    locked = [after for action, after in events if action == "accounts:session:sign-in-locked"]
    assert locked == [{"address": "127.0.0.1"}]
    assert any(action == "accounts:session:sign-in-failed" for action, _ in events)


def test_one_address_cannot_go_through_all_names(cast: Cast, settings: Any) -> None:
    limited(settings, **{"sign-in": "3/day"})
    address = {"REMOTE_ADDR": "203.0.113.99"}
    answers = [sign_in(Client(), f"name{number}", "x", **address).status_code for number in range(4)]
    assert answers == [422, 422, 422, 429]


def limited(settings: Any, **rates: str) -> None:
    from django.core.cache import cache

    cache.clear()
    every = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], **rates}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": every}


def test_searches_are_counted_together_at_both_doors(cast: Cast, settings: Any) -> None:
    limited(settings, search="2/day")
    client = browser(cast.ada)
    assert client.get("/search/?q=a").status_code == 200
    assert client.get("/api/v1/teams/?search=a").status_code == 200
    page, audit, api = client.get("/search/?q=a"), client.get("/audit/?q=a"), client.get("/api/v1/teams/?search=a")
    assert (page.status_code, audit.status_code, api.status_code) == (429, 429, 429)
    assert int(page["Retry-After"]) > 0
    assert int(api["Retry-After"]) > 0
    assert "text/html" in page["Content-Type"]
    assert api["Content-Type"] == "application/problem+json"
    assert api.json()["code"] == "core:throttled"
    assert client.get("/api/v1/teams/").status_code == 200
    assert browser(cast.pete).get("/search/?q=a").status_code == 200, "of each person"


def test_launches_are_counted_before_they_are_read(cast: Cast, settings: Any) -> None:
    limited(settings, launch="1/day")
    client = browser(cast.dana)
    answers = [client.post("/api/v1/environments/", {}, "application/json") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [400, 429]


def test_tokens_and_links_and_passwords_are_counted(cast: Cast, settings: Any) -> None:
    limited(settings, tokens="1/day", password="1/day")
    client = browser(cast.pete)
    made = [client.post("/accounts/tokens/", {"name": "t", "scope": "read", "days": "7"}).status_code for _ in range(2)]
    assert made == [201, 429]
    assert client.post(f"/accounts/people/{cast.dana.pk}/password-link/").status_code == 429
    tried = [client.post("/accounts/password/", {"current": "x", "new": "y"}).status_code for _ in range(2)]
    assert tried == [422, 429]
