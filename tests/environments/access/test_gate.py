"""Decisions that need no socket: TLS cookies, ageing, forward authentication, and the portal's own sessions."""

import time
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from apps.core.proxying import Reply, header
from apps.environments.access import sessions, tickets
from apps.environments.access.contracts import AccessSettings, Asked, Auth, Upstream, safe_path
from apps.environments.access.gate import Admitted, Gate
from apps.environments.access.headers import cookie_for_browser
from apps.environments.access.verify import verify
from tests.environments.access.conftest import DANA, SECRET

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(30)]
TLS = AccessSettings("https://slipway.example", "https://apps.slipway-apps.example")
HOST = "nb-1.apps.slipway-apps.example"


def asked(path="/", *, cookie="", navigation=True, host=HOST, **headers):
    sent = [(b"host", host.encode()), (b"sec-fetch-site", b"none")]
    sent += [(b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")] if navigation else []
    sent += [(b"cookie", cookie.encode())] if cookie else []
    sent += [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    path, _, query = path.partition("?")
    return Asked("GET", host, path, query, sent)


@pytest.fixture
def gate(portal):
    return Gate(TLS, portal.resolve, claim=portal.claim)


def session_of(settings=TLS, environment_id="id-1", person=DANA):
    ticket = tickets.Ticket(person, environment_id, "/")
    return sessions.session_cookie(settings, "nb-1", ticket)[1].decode()


async def test_over_tls_cookies_are_locked_to_the_host(gate):
    cookie = session_of()
    assert cookie.startswith("__Host-slipway-app-nb-1=")
    assert "; Secure" in cookie
    admitted = await gate.decide(asked(cookie=cookie.partition(";")[0]))
    assert isinstance(admitted, Admitted)


async def test_a_cookie_of_plain_http_is_not_taken_over_tls(gate):
    plain = session_of(replace(TLS, apps_url="http://apps.slipway-apps.example")).partition(";")[0]
    assert (await gate.decide(asked(cookie=plain))).status == 302


async def test_a_session_ends_after_its_time_and_is_renewed_before(gate, monkeypatch):
    cookie = session_of().partition(";")[0]
    assert (await gate.decide(asked(cookie=cookie))).cookies == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 24 * 3600)
    renewed = (await gate.decide(asked(cookie=cookie))).cookies
    assert renewed[0][1].startswith(b"__Host-slipway-app-nb-1=")
    monkeypatch.setattr(time, "time", lambda: now + 8 * 24 * 3600)
    assert (await gate.decide(asked(cookie=cookie))).status == 302


async def test_a_changed_cookie_is_worth_nothing(gate):
    name, _, value = session_of().partition(";")[0].partition("=")
    assert (await gate.decide(asked(cookie=f"{name}={value[:-2]}xx"))).status == 302


async def test_an_old_ticket_is_refused(gate, portal, monkeypatch):
    reply = await gate.decide(asked("/lab"))
    verifier = header(reply.headers, b"set-cookie").partition(";")[0]
    challenge = parse_qs(urlsplit(header(reply.headers, b"location")).query)["challenge"][0]
    link = tickets.ticket_issue(TLS, person=DANA, environment_id="id-1", slug="nb-1", path="/lab", challenge=challenge)
    target = f"{urlsplit(link).path}?{urlsplit(link).query}"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 61)
    assert (await gate.decide(asked(target, cookie=verifier))).status == 403
    monkeypatch.setattr(time, "time", lambda: now + 59)
    reply = await gate.decide(asked(target, cookie=verifier))
    assert (reply.status, header(reply.headers, b"location")) == (303, "/lab")


async def test_a_link_without_a_challenge_starts_at_the_application_host():
    for challenge in ("", "short", "G" * 64):
        link = tickets.ticket_issue(
            TLS, person=DANA, environment_id="id-1", slug="nb-1", path="/lab?a=1", challenge=challenge
        )
        assert link == f"https://{HOST}/lab?a=1"


async def test_the_verifier_itself_never_leaves_the_cookie(gate):
    reply = await gate.decide(asked("/lab"))
    verifier = header(reply.headers, b"set-cookie").partition("=")[2].partition(";")[0]
    assert verifier not in header(reply.headers, b"location")


async def test_tabs_on_their_way_in_share_one_verifier(gate):
    first = header((await gate.decide(asked("/a"))).headers, b"set-cookie").partition(";")[0]
    second = header((await gate.decide(asked("/b", cookie=first))).headers, b"set-cookie").partition(";")[0]
    assert first == second


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("/lab?next=//x", "/lab?next=//x"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("", "/"),
        ("/a\nb", "/"),
        ("/a\\b", "/"),
    ],
)
async def test_paths_stay_on_their_host(given, kept):
    assert safe_path(given) == kept


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"a=1; domain=.example.com; Path=/x", b"a=1; Path=/x"),
        (b"a=1;DOMAIN = x;Secure", b"a=1;Secure"),
        (b"__Secure-Slipway-app-x=1", None),
        (b"slipway_csrf=1", None),
        (b"=nameless", None),
        (b"nameless", None),
        (b"a=b=c; Expires=Wed, 21 Oct 2026 07:28:00 GMT", b"a=b=c; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
    ],
)
async def test_set_cookie_is_rewritten(given, kept):
    assert cookie_for_browser(TLS, given) == kept


async def test_each_kind_of_application_gets_its_secret_in_its_own_way():
    def authorization(auth):
        return Upstream("1", "nb-1", "running", "127.0.0.1:1", "s", auth).authorization

    assert authorization("authorization-token") == "token s"
    assert authorization(Auth.AUTHORIZATION_BEARER) == "Bearer s"
    assert authorization("none") is None
    assert SECRET not in repr(Upstream("1", "nb-1", "running", "127.0.0.1:1", SECRET))


def forwarded(path="/api", *, cookie="", secret="shared", **headers):
    sent = asked(cookie=cookie, navigation="accept" in headers, **headers).headers
    sent = [pair for pair in sent if pair[0] != b"host"]
    return [
        *sent,
        (b"host", b"slipway.example"),
        (b"x-forwarded-host", HOST.encode()),
        (b"x-forwarded-uri", path.encode()),
        (b"x-slipway-proxy-secret", secret.encode()),
    ]


async def test_forward_authentication_gives_the_upstream_to_the_proxy_only(gate, portal):
    cookie = session_of().partition(";")[0]
    allowed = await verify(gate, forwarded(cookie=f"{cookie}; _xsrf=1"), proxy_secret="shared")
    assert allowed.status == 200
    assert header(allowed.headers, b"authorization") == f"token {SECRET}"
    assert header(allowed.headers, b"x-slipway-cookie") == "_xsrf=1"
    assert header(allowed.headers, b"x-slipway-upstream") == f"http://{portal.environments['nb-1'].address}"
    for secret in ("", "guess"):
        refused = await verify(gate, forwarded(cookie=cookie, secret=secret), proxy_secret="shared")
        assert (refused.status, header(refused.headers, b"authorization")) == (403, None)
    assert (await verify(gate, forwarded(cookie=cookie, secret=""), proxy_secret="")).status == 403


async def test_forward_authentication_redirects_people_or_names_the_place(gate):
    redirected = await verify(gate, forwarded("/lab", accept="text/html"), proxy_secret="shared")
    assert redirected.status == 302
    named = await verify(gate, forwarded("/lab", accept="text/html"), proxy_secret="shared", redirects=False)
    place = header(named.headers, b"x-slipway-location")
    assert (named.status, place[: len(TLS.portal_url)]) == (401, TLS.portal_url)
    assert isinstance(await verify(gate, forwarded(), proxy_secret="shared"), Reply)
    websocket = forwarded(cookie=session_of().partition(";")[0], upgrade="websocket", origin="https://evil.example")
    assert (await verify(gate, websocket, proxy_secret="shared")).status == 403
