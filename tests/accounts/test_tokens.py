"""API tokens: made once, hashed, scoped, expiring."""

from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.exceptions import AccountInvalid
from apps.accounts.models import ApiToken
from apps.accounts.services import (
    token_authenticate,
    token_create,
    token_create_for_environment,
    token_revoke,
    tokens_revoke_for_environment,
)
from tests.cast import Cast, bearer, browser

SOON = timedelta(days=7)


def make(cast: Cast, *scopes: str) -> tuple[ApiToken, str]:
    return token_create(user=cast.dana, name="CI", scopes=scopes or ["read"], expires_at=timezone.now() + SOON)


def test_only_the_hash_is_kept(cast: Cast) -> None:
    token, secret = make(cast)
    assert secret.startswith("slw_")
    assert len(secret) >= 47
    row = ApiToken.objects.filter(pk=token.pk).values().get()
    assert not any(secret in str(value) for value in row.values())
    assert token.digest == ApiToken.digest_of(secret)


def test_a_token_is_known_by_its_secret_until_it_is_revoked(cast: Cast) -> None:
    token, secret = make(cast)
    assert token_authenticate(secret) == token
    token_revoke(token=token, actor=cast.dana)
    assert token_authenticate(secret) is None


@pytest.mark.parametrize("secret", ["", "slw_", "slw_" + "x" * 43, "\x00", "slw_" + "é" * 43, "slw_" + "x" * 100_000])
def test_what_is_no_token_is_nobody(cast: Cast, secret: str) -> None:
    assert token_authenticate(secret) is None


def test_an_expired_token_and_one_of_a_switched_off_person_are_nobody(cast: Cast) -> None:
    token, secret = make(cast)
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert token_authenticate(secret) is None
    _, other = make(cast)
    cast.dana.is_active = False
    cast.dana.save()
    assert token_authenticate(other) is None


def test_the_last_use_is_written_at_most_once_a_minute(
    cast: Cast, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token, secret = make(cast)
    with django_assert_num_queries(2):
        token_authenticate(secret)
    with django_assert_num_queries(1):
        token_authenticate(secret)
    ApiToken.objects.filter(pk=token.pk).update(last_used_at=timezone.now() - timedelta(seconds=61))
    token_authenticate(secret)
    token.refresh_from_db()
    assert timezone.now() - token.last_used_at < timedelta(seconds=5)  # type: ignore[operator]


@pytest.mark.parametrize("days", [-1, 0, 400, None])
def test_a_personal_token_expires_within_a_year(cast: Cast, days: int | None) -> None:
    moment = None if days is None else timezone.now() + timedelta(days=days)
    with pytest.raises(AccountInvalid) as caught:
        token_create(user=cast.dana, name="CI", scopes=["read"], expires_at=moment)
    assert list(caught.value.errors) == ["expires_at"]


def test_an_environment_has_a_token_of_its_own_that_ends_with_it(cast: Cast) -> None:
    environment_id = uuid4()
    secret = token_create_for_environment(user=cast.dana, environment_id=environment_id, name="nb")
    token = token_authenticate(secret)
    assert token is not None
    assert token.scopes == ["connect", "mlflow"]
    assert token.expires_at is None
    assert not ApiToken.objects.visible_to(cast.dana).exists()
    assert browser(None).get("/api/v1/me/", **bearer(secret)).status_code == 403
    assert tokens_revoke_for_environment(environment_id=environment_id) == 1
    assert token_authenticate(secret) is None


def test_scopes_reach_as_far_as_they_say(cast: Cast) -> None:
    client, body = browser(None), {"person": "mallory", "role": "member"}
    url = "/api/v1/teams/vision/members/"
    _, read = token_create(user=cast.mira, name="r", scopes=["read"], expires_at=timezone.now() + SOON)
    _, write = token_create(user=cast.mira, name="w", scopes=["write"], expires_at=timezone.now() + SOON)
    _, mlflow = token_create(user=cast.mira, name="m", scopes=["mlflow"], expires_at=timezone.now() + SOON)
    assert client.get(url, **bearer(read)).status_code == 200
    refused = client.post(url, body, "application/json", **bearer(read))
    assert (refused.status_code, refused.json()["code"]) == (403, "accounts:token-scope")
    assert client.get(url, **bearer(mlflow)).status_code == 403
    assert client.post(url, body, "application/json", **bearer(write)).status_code == 201


def test_the_api_says_why_a_token_does_not_work(cast: Cast) -> None:
    token, secret = make(cast)
    unknown = browser(None).get("/api/v1/me/", **bearer("slw_" + "x" * 43))
    assert (unknown.status_code, unknown.json()["code"]) == (401, "accounts:token-unknown")
    assert unknown["WWW-Authenticate"].startswith("Bearer")
    assert unknown["Content-Type"] == "application/problem+json"
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - SOON)
    expired = browser(None).get("/api/v1/me/", **bearer(secret))
    assert (expired.status_code, expired.json()["code"]) == (401, "accounts:token-expired")
    nobody = browser(None).get("/api/v1/me/")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "core:sign-in-required")


def test_the_account_page_shows_a_secret_once(cast: Cast) -> None:
    client = browser(cast.dana)
    made = client.post(reverse("accounts:token_new"), {"name": "laptop", "scope": "write", "days": "30"})
    secret = made.context["secret"]
    assert made.status_code == 201
    assert secret in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    page = client.get(reverse("accounts:account")).content.decode()
    assert "laptop" in page
    assert secret not in page
    token = ApiToken.objects.get(name="laptop")
    assert browser(cast.mallory).post(reverse("accounts:token_revoke", args=[token.pk])).status_code == 404
    assert client.post(reverse("accounts:token_revoke", args=[token.pk])).status_code == 302
    assert token_authenticate(secret) is None


def test_the_command_prints_the_token_and_nothing_else(cast: Cast) -> None:
    out = StringIO()
    call_command("token", "dana", scope="write", stdout=out)
    secret = out.getvalue().strip()
    token = token_authenticate(secret)
    assert token is not None
    assert (token.user, token.scopes) == (cast.dana, ["write"])
    with pytest.raises(CommandError, match="Nobody signs in as nobody"):
        call_command("token", "nobody")


def test_too_many_new_tokens_wait(cast: Cast, settings) -> None:  # type: ignore[no-untyped-def]
    rates = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "tokens": "2/hour"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    client, fields = browser(cast.dana), {"name": "n", "scope": "read", "days": "7"}
    answers = [client.post(reverse("accounts:token_new"), fields) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1]["Retry-After"]) > 0
