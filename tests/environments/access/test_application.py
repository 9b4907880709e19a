"""People in front of an application host, over real sockets."""

import asyncio
import re
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from tests.core.serving import free_port
from tests.environments.access.conftest import DANA, MALLORY, NAVIGATION, SECRET

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(30)]


async def test_one_click_leads_through_the_portal_to_the_asked_page(browsers):
    dana = browsers(DANA)
    response = await dana.open("nb-1", "/lab/tree/a%20b.ipynb?x=1&y=%26")
    assert response.status == 200
    assert (await response.json())["path"] == "/lab/tree/a%20b.ipynb?x=1&y=%26"
    assert (await dana.go("nb-1", "/lab")).status == 200, "the second page needs no portal"


async def test_the_cookie_is_the_hosts_alone(browsers):
    dana = browsers(DANA)
    response = await dana.go("nb-1")
    verifier = response.headers["Set-Cookie"]
    target = parse_qs(urlsplit(response.headers["Location"]).query)
    ticket = dana.portal.issue("nb-1", DANA, target["path"][0], target["challenge"][0])
    session = (await dana.go("nb-1", urlsplit(ticket).path + "?" + urlsplit(ticket).query)).headers["Set-Cookie"]
    assert session.startswith("slipway-app-nb-1=")
    for cookie in (verifier, session):
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert "Path=/;" in cookie
        assert "domain" not in cookie.lower()


async def test_a_stranger_gets_nothing_even_with_a_session_of_his_own(browsers):
    mallory = browsers(MALLORY)
    response = await mallory.open("nb-1", "/lab")
    assert response.status == 404
    assert "Not found, or not shared with you" in await response.text()
    assert (await mallory.ask("nb-1", "/api/kernels")).status == 401


async def test_a_copied_ticket_link_is_worth_nothing_in_another_browser(browsers):
    dana, mallory = browsers(DANA), browsers(MALLORY)
    target = parse_qs(urlsplit((await dana.go("nb-1", "/lab")).headers["Location"]).query)
    link = urlsplit(dana.portal.issue("nb-1", DANA, "/lab", target["challenge"][0]))
    await mallory.go("nb-1", "/lab")  # leaves him a verifier of his own
    stolen = await mallory.go("nb-1", f"{link.path}?{link.query}")
    assert stolen.status == 403
    assert "slipway-app-nb-1" not in mallory.cookies["nb-1"]
    assert (await dana.go("nb-1", f"{link.path}?{link.query}")).status == 303, "and hers still works"


async def test_a_ticket_works_once(browsers):
    dana = browsers(DANA)
    target = parse_qs(urlsplit((await dana.go("nb-1")).headers["Location"]).query)
    link = urlsplit(dana.portal.issue("nb-1", DANA, "/", target["challenge"][0]))
    assert (await dana.go("nb-1", f"{link.path}?{link.query}")).status == 303
    assert (await dana.go("nb-1", f"{link.path}?{link.query}")).status == 403


async def test_a_ticket_of_one_environment_opens_no_other(browsers):
    dana = browsers(DANA)
    target = parse_qs(urlsplit((await dana.go("nb-1")).headers["Location"]).query)
    await dana.go("nb-2")
    dana.cookies["nb-2"]["slipway-way-nb-2"] = dana.cookies["nb-1"]["slipway-way-nb-1"]
    link = urlsplit(dana.portal.issue("nb-1", DANA, "/", target["challenge"][0]))
    assert (await dana.go("nb-2", f"{link.path}?{link.query}")).status == 403


async def test_a_session_of_one_environment_opens_no_other(browsers):
    dana = browsers(DANA)
    await dana.open("nb-1")
    dana.cookies["nb-2"] = {"slipway-app-nb-2": dana.cookies["nb-1"]["slipway-app-nb-1"]}
    assert (await dana.ask("nb-2", "/api")).status == 401


async def test_a_planted_second_cookie_does_not_lock_anyone_out(browsers):
    dana = browsers(DANA)
    await dana.open("nb-1")
    cookie = f"slipway-app-nb-1=planted; slipway-app-nb-1={dana.cookies['nb-1']['slipway-app-nb-1']}"
    assert (await dana.ask("nb-1", "/api", headers={"Cookie": cookie})).status == 200


async def test_the_application_gets_its_secret_and_neither_our_cookies_nor_the_callers_authorization(browsers):
    dana = browsers(DANA)
    await dana.open("nb-1")
    dana.cookies["nb-1"] |= {"_xsrf": "2", "slipway_session": "portal"}
    headers = {"Authorization": "Bearer portal-token", "X-Forwarded-For": "6.6.6.6", "X-Slipway-User": "root"}
    seen = (await (await dana.ask("nb-1", "/api", headers=headers)).json())["headers"]
    assert seen["authorization"] == f"token {SECRET}"
    assert sorted(seen["cookie"].split("; ")) == ["_xsrf=2", "username=dana"]
    assert seen["host"] == dana.host("nb-1") == seen["x-forwarded-host"]
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert "x-slipway-user" not in seen


async def test_an_answer_sets_cookies_for_its_own_host_only(browsers):
    dana = browsers(DANA)
    response = await dana.open("nb-1")
    assert response.headers.getall("Set-Cookie") == ["_xsrf=1; Path=/; HttpOnly", "username=dana; Path=/"]
    assert "frame-ancestors 'self'" in response.headers["Content-Security-Policy"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "aiohttp" not in response.headers.get("Server", "").lower()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}),
        ("POST", {"Sec-Fetch-Site": "same-site", "Origin": "http://nb-2.apps.localhost"}),
        ("POST", {"Sec-Fetch-Site": "", "Origin": "http://nb-2.apps.localhost"}),
        ("POST", {"Sec-Fetch-Site": ""}),
        ("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}),
        ("GET", {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("GET", {"Sec-Fetch-Site": "", "Referer": "http://nb-2.apps.localhost/", "Accept": "*/*"}),
        ("TRACE", {}),
    ],
)
async def test_what_another_page_asks_in_a_persons_name_is_refused(browsers, method, headers):
    dana = browsers(DANA)
    await dana.open("nb-1")
    assert (await dana.ask("nb-1", "/api", method=method, headers=headers)).status == 403


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}),
        ("GET", {**NAVIGATION, "Sec-Fetch-Site": "same-site"}),
        ("POST", {"Sec-Fetch-Site": "same-origin", "Origin": "OWN"}),
        ("PUT", {"Sec-Fetch-Site": "", "Origin": "OWN"}),
        ("GET", {"Sec-Fetch-Site": "", "Accept": "*/*", "Referer": "OWN/lab"}),
        ("GET", {"Sec-Fetch-Site": "", "Accept": "text/html", "Referer": "http://localhost:8000/"}),
    ],
)
async def test_own_pages_and_links_from_elsewhere_pass(browsers, method, headers):
    dana = browsers(DANA)
    await dana.open("nb-1")
    own = f"http://{dana.host('nb-1')}"
    sent = {name: value.replace("OWN", own) for name, value in headers.items()}
    assert (await dana.ask("nb-1", "/api", method=method, headers=sent)).status == 200


async def test_websockets_pass_for_the_person_and_no_other_origin(browsers):
    dana, mallory = browsers(DANA), browsers(MALLORY)
    await dana.open("nb-1")
    async with dana.websocket("nb-1") as sock:
        await sock.send_str("1 + 1")
        assert await sock.receive_str() == "1 + 1"
    for refused in (
        dana.websocket("nb-1", origin=f"http://{dana.host('nb-2')}"),
        dana.websocket("nb-1", origin="null"),
        mallory.websocket("nb-1"),
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            await refused
        assert error.value.status in (401, 403)


async def test_revoked_access_ends_requests_and_open_websockets_within_seconds(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1")
    sock = await dana.websocket("nb-1")
    portal.allowed["nb-1"].clear()
    message = await sock.receive(timeout=3)
    assert (message.data, message.extra) == (1008, "Your access has ended")
    assert (await dana.ask("nb-1", "/api")).status == 401


async def test_a_stop_closes_websockets_and_says_so(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1")
    sock = await dana.websocket("nb-1")
    portal.change("nb-1", status="stopped", address="")
    message = await sock.receive(timeout=3)
    assert (message.data, message.extra) == (1001, "The environment was stopped")


async def test_a_stopped_environment_sends_people_to_the_portal_and_scripts_away(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1")
    portal.change("nb-1", status="stopped", address="")
    await asyncio.sleep(0.3)
    page = await dana.go("nb-1", "/lab/tree/x.ipynb?a=1")
    target = urlsplit(page.headers["Location"])
    assert (page.status, target.netloc, target.path) == (302, "localhost:8000", "/environments/open/nb-1/")
    assert parse_qs(target.query)["path"] == ["/lab/tree/x.ipynb?a=1"]
    script = await dana.ask("nb-1", "/api/kernels")
    problem = await script.json(content_type="application/problem+json")
    assert (script.status, problem["code"], script.headers["Retry-After"]) == (503, "environments:not-running", "5")


async def test_unknown_and_malformed_hosts_are_not_found(browsers):
    dana = browsers(DANA)
    for slug in ("nb-9", "a.b", "-x", "x" * 64):
        response = await dana.go(slug, "/")
        assert response.status == 404
        assert "Not found" in await response.text()


@pytest.mark.parametrize(
    "path", ["//evil.example/", "/\\evil.example", "/%0d%0aSet-Cookie:x=1", "/ok?next=//evil.example"]
)
async def test_the_way_back_never_leaves_the_host(browsers, path):
    dana = browsers(DANA)
    target = parse_qs(urlsplit((await dana.go("nb-1")).headers["Location"]).query)
    link = urlsplit(dana.portal.issue("nb-1", DANA, path, target["challenge"][0]))
    location = (await dana.go("nb-1", f"{link.path}?{link.query}")).headers["Location"]
    assert re.match(r"/(?![/\\])", location)
    assert "\r" not in location


async def test_an_application_that_does_not_answer_is_said_in_words(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1")
    portal.change("nb-1", address=f"127.0.0.1:{free_port()}")
    await asyncio.sleep(0.3)
    page = await dana.go("nb-1", "/lab")
    assert page.status == 502
    assert "JupyterLab runs but does not answer" in await page.text()
    assert (await (await dana.ask("nb-1", "/api")).json(content_type=None))["code"] == "environments:unreachable"


async def test_a_database_that_is_away_lets_nobody_in_and_throws_nobody_out(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1")
    async with dana.websocket("nb-1") as sock:
        portal.down = True
        await asyncio.sleep(0.6)
        assert (await dana.ask("nb-1", "/api")).status == 503
        await sock.send_str("still here")
        assert await sock.receive_str() == "still here"
        portal.down = False
        await asyncio.sleep(0.3)
        assert (await dana.ask("nb-1", "/api")).status == 200


async def test_many_requests_ask_the_portal_once(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1")
    await asyncio.sleep(0.3)
    portal.asked.clear()
    await asyncio.gather(*[dana.ask("nb-1", "/api") for _ in range(30)])
    assert portal.asked == [("nb-1", DANA)]


async def test_activity_tells_people_from_polling(browsers, portal):
    dana = browsers(DANA)
    await dana.open("nb-1", "/lab")
    own = {"Origin": f"http://{dana.host('nb-1')}"}
    for _ in range(3):
        await dana.ask("nb-1", "/api/kernels")
        await dana.ask("nb-1", "/api/contents/a", method="PUT", headers=own)
    async with dana.websocket("nb-1") as first, dana.websocket("nb-1"):
        await first.send_str("1")
        await first.receive_str()
    await asyncio.sleep(0.3)
    kinds = [kind for _, kind, _ in portal.told]
    assert kinds[:5] == ["page", "poll", "change", "connected", "message"], "each once, however often it happened"
    assert set(kinds[5:]) == {"disconnected"}
    assert portal.told[-1] == ("id-1", "disconnected", 0)


async def test_a_refused_request_is_no_activity(browsers, portal):
    mallory = browsers(MALLORY)
    await mallory.go("nb-1", "/lab")
    await mallory.ask("nb-1", "/api")
    assert portal.told == []


async def test_only_application_hosts_are_served(application):
    def scope(host, kind="http"):
        return {"type": kind, "headers": [(b"host", host.encode())]}

    assert application.serves(scope("nb-1.apps.localhost:1"))
    assert application.serves(scope("apps.localhost"))
    assert application.serves(scope("NB-1.APPS.LOCALHOST:1", "websocket"))
    assert not application.serves(scope("localhost:8000"))
    assert not application.serves(scope("xapps.localhost"))
    assert not application.serves(scope("apps.localhost.evil.example"))
    assert not application.serves({"type": "lifespan"})
