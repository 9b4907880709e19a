"""The id of a request, and what is refused before any page sees it."""

import re

import pytest
from django.test import AsyncClient, Client

from apps.core.correlation import correlation_id

SIGN_IN = "/accounts/sign-in/"


def test_every_answer_carries_an_id() -> None:
    first, second = Client().get("/healthz"), Client().get("/healthz")
    assert re.fullmatch(r"[0-9a-f]{16}", first["X-Request-Id"])
    assert first["X-Request-Id"] != second["X-Request-Id"]
    assert correlation_id.get() == "-"


@pytest.mark.parametrize(("given", "kept"), [("abc-1.2_3", True), ("a b", False), ("x" * 33, False), ("é", False)])
def test_a_given_id_is_kept_when_it_is_harmless(given: str, kept: bool) -> None:
    assert (Client().get("/healthz", headers={"X-Request-Id": given})["X-Request-Id"] == given) is kept


FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://nb-1.apps.localhost:8000"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
)
OWN = ({}, {"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": "http://testserver"})


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_write_sent_by_another_sites_page_is_refused(db: None, headers: dict[str, str]) -> None:
    page = Client().post(SIGN_IN, headers=headers)
    assert page.status_code == 403
    api = Client().post("/api/v1/environments/", {}, "application/json", headers=headers)
    assert (api.status_code, api.json()["code"]) == (403, "core:foreign-origin")
    assert api["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("headers", OWN)
def test_a_write_of_our_own_or_of_no_browser_passes(db: None, headers: dict[str, str]) -> None:
    assert Client().post(SIGN_IN, headers=headers).status_code == 422


@pytest.mark.parametrize("headers", FOREIGN)
def test_reading_is_open_to_links_from_elsewhere(db: None, headers: dict[str, str]) -> None:
    assert Client().get(SIGN_IN, headers=headers).status_code == 200


@pytest.mark.parametrize("address", ["/%00", "/api/v1/teams/%00/", "/search/?q=%00", "/search/?%00=1"])
def test_an_address_with_nul_is_not_understood(db: None, address: str) -> None:
    assert Client().get(address).status_code == 400


async def test_it_all_holds_under_asgi(db: None) -> None:
    answer = await AsyncClient().get("/healthz", headers={"X-Request-Id": "given"})
    assert (answer.status_code, answer["X-Request-Id"]) == (200, "given")
    foreign = await AsyncClient().post(SIGN_IN, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403
