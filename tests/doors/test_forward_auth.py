"""`GET /access/verify` at its address, as each reverse proxy asks it; the decisions are tested with the gate."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.doors.test_before_django import NAVIGATION, PORTAL, call

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "of-the-reverse-proxy-and-nobody-else"
HOST = f"nb-1-abcdef.apps.{PORTAL}"


@pytest.fixture
def secret(settings: Any) -> dict[str, str]:
    settings.ACCESS_PROXY_SECRET = SECRET
    return {"x-slipway-proxy-secret": SECRET}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that runs, which nobody who asks here may use."""
    import portal.asgi
    from apps.environments.access.contracts import Resolution, Upstream

    async def resolve(slug: str, person: Any) -> Resolution:
        return Resolution(Upstream("1", slug, "running", "127.0.0.1:9", "s"))

    monkeypatch.setattr(portal.asgi.doors.access.gate, "_resolver", resolve)


def path_wanted(location: str) -> str:
    parts = urlsplit(location)
    assert (parts.netloc, parts.path) == (PORTAL, "/environments/open/nb-1-abcdef/")
    return parse_qs(parts.query)["path"][0]


async def test_traefik_passes_the_way_to_the_portal_on(secret: dict[str, str], known: None) -> None:
    asked = {"x-forwarded-host": HOST, "x-forwarded-uri": "/lab?a=1", "x-forwarded-method": "GET"}
    status, headers = await call("GET", PORTAL, "/access/verify", {**asked, **secret, **NAVIGATION})
    assert (status, path_wanted(headers["location"])) == (302, "/lab?a=1")


async def test_nginx_is_answered_401_and_finds_the_way_in_a_header(secret: dict[str, str], known: None) -> None:
    asked = {"x-forwarded-host": HOST, "x-forwarded-uri": "/lab", "x-forwarded-method": "GET"}
    status, headers = await call("GET", PORTAL, "/access/verify?redirects=0", {**asked, **secret, **NAVIGATION})
    assert status == 401
    assert "location" not in headers
    assert path_wanted(headers["x-slipway-location"]) == "/lab"


async def test_envoy_asks_on_the_applications_host_with_the_path_appended(secret: dict[str, str], known: None) -> None:
    status, headers = await call("GET", HOST, "/access/verify/lab?redirects=0", {**secret, **NAVIGATION})
    assert (status, path_wanted(headers["location"])) == (302, "/lab?redirects=0")
    status, _ = await call("POST", HOST, "/access/verify/api/kernels", secret)
    assert status in (401, 403)


async def test_without_the_header_the_path_is_the_applications_own(secret: dict[str, str], known: None) -> None:
    status, headers = await call("GET", HOST, "/access/verify/lab", NAVIGATION)
    assert (status, path_wanted(headers["location"])) == (302, "/access/verify/lab")


@pytest.mark.parametrize("said", [{}, {"x-slipway-proxy-secret": "wrong"}, {"x-slipway-proxy-secret": ""}])
async def test_nobody_else_is_answered(secret: dict[str, str], known: None, said: dict[str, str]) -> None:
    asked = {"x-forwarded-host": HOST, "x-forwarded-uri": "/lab", **said}
    status, headers = await call("GET", PORTAL, "/access/verify", asked)
    assert status == 403
    assert not {"x-slipway-upstream", "authorization", "location"} & headers.keys()


async def test_without_a_configured_secret_an_empty_one_is_no_secret(settings: Any, known: None) -> None:
    settings.ACCESS_PROXY_SECRET = ""
    asked = {"x-forwarded-host": HOST, "x-slipway-proxy-secret": ""}
    assert (await call("GET", PORTAL, "/access/verify", asked))[0] == 403
