"""Headers of every answer of the portal's own host, whoever makes it, and the settings of production."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from apps.core import limits
from tests.cast import Cast
from tests.doors.test_before_django import NAVIGATION, PORTAL, call

ROOT = Path(__file__).parents[2]
EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
ANSWERS = (
    ("GET", "/healthz", 200),
    ("GET", "/accounts/sign-in/", 200),
    ("GET", "/nowhere/", 404),
    ("GET", "/", 302),
    ("POST", "/accounts/sign-in/", 403),
    ("PUT", "/healthz", 403),
    ("GET", "/?q=%00", 400),
    ("GET", "/api/v1/me/", 401),
    ("GET", "/api/v1/nowhere/", 404),
    ("GET", "/static/portal/js/live-worker.js", 200),
    ("GET", "/static/nothing.js", 404),
    ("GET", "/events/", 401),
    ("GET", "/mlflow/api/2.0/mlflow/experiments/search", 401),
    ("GET", "/access/verify", 403),
    ("GET", "/" + "x" * 9000, 414),
)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_every_answer_carries_them(method: str, path: str, status: int) -> None:
    headers = {"origin": "https://evil.example"} if status == 403 and method != "GET" else {}
    said, found = await call(method, PORTAL, path, headers)
    assert said == status
    assert EVERYWHERE.items() <= found.items(), path
    assert "camera=()" in found["permissions-policy"]
    policy = found["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.django_db(transaction=True)
async def test_a_host_that_is_not_ours_is_told_nothing_and_still_safely() -> None:
    said, found = await call("GET", "evil.example", "/", {})
    assert said == 400
    assert EVERYWHERE.items() <= found.items()


def test_the_policy_of_pages_is_strict() -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    for name in ("default-src", "object-src", "base-uri", "frame-ancestors"):
        assert directives[name] == ["'none'"]
    for name in ("script-src", "style-src", "form-action", "connect-src", "worker-src"):
        assert directives[name] == ["'self'"]
    assert not re.search(r"unsafe|\*|http:|data:", str({k: v for k, v in directives.items() if k != "img-src"}))


@pytest.mark.django_db(transaction=True)
async def test_heads_and_bodies_are_bounded() -> None:
    too_many = {f"x-{number}": "v" for number in range(limits.HEADER_COUNT)}
    assert (await call("GET", PORTAL, "/healthz", too_many))[0] == 431
    assert (await call("GET", PORTAL, "/healthz", {"x-long": "v" * limits.HEADER_BYTES}))[0] == 431
    host = f"nb-1.apps.{PORTAL}"
    assert (await call("GET", host, "/" + "x" * 9000, NAVIGATION))[0] == 414
    declared = {"content-length": str(limits.BODY_BYTES + 1), "content-type": "application/json"}
    assert (await call("POST", PORTAL, "/api/v1/environments/", declared))[0] == 413


async def test_a_body_of_no_declared_length_is_cut_off() -> None:
    received, answers = 0, []

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 500_000
        return {"type": "http.request", "body": b"x" * 500_000, "more_body": True}

    async def send(message: Any) -> None:
        answers.append(message)

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    scope = {"type": "http", "path": "/", "headers": [], "query_string": b""}
    await limits.limited(reader)(scope, receive, send)
    assert received <= limits.BODY_BYTES + 500_000
    assert answers[0]["status"] == 413


PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "portal.settings.prod",
    "SECRET_KEY": "k9" * 32 + "_x-Q",
    "SLIPWAY_KEYS": "aGtHZ0xVcWJ4b0VhV1h2Q2x5d0dxc2FyZ3h5ZnBhc3M=",
    "PORTAL_URL": "https://portal.example.org",
    "APPS_URL": "https://apps.example.net",
}


def in_production(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DATABASE_URL", "BROKER_URL", "SLIPWAY_DATA")}
    full = {**kept, **PRODUCTION, **environ}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=full, capture_output=True, text=True, timeout=120)


def test_check_deploy_has_nothing_to_say_of_production() -> None:
    done = in_production("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no issues" in done.stdout + done.stderr


def test_production_cookies_and_transport() -> None:
    show = (
        "import django; django.setup(); from django.conf import settings as s; "
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, "
        "s.SESSION_COOKIE_HTTPONLY, s.SESSION_COOKIE_DOMAIN, s.SESSION_COOKIE_PATH, s.SECURE_HSTS_SECONDS, "
        "s.SECURE_PROXY_SSL_HEADER, s.DEBUG); import portal.asgi as a; print(a._hsts)"
    )
    done = in_production("-c", show)
    assert done.stdout.split("\n")[:2] == [
        "__Host-slipway __Host-slipway-csrf True True True None / 31536000 None False",
        "max-age=31536000; includeSubDomains; preload",
    ], done.stderr


@pytest.mark.parametrize("missing", ["SECRET_KEY", "SLIPWAY_KEYS", "PORTAL_URL"])
def test_production_does_not_start_without_its_own(missing: str) -> None:
    done = in_production("manage.py", "check", **{missing: ""})
    assert done.returncode != 0
    assert missing in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("said", "trusted"), [("", []), ("10.0.0.1", ["10.0.0.1"]), ("10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"])]
)
def test_only_named_proxies_are_believed(said: str, trusted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.up.web import configuration

    monkeypatch.setenv("FORWARDED_ALLOW_IPS", said)
    made = configuration()
    assert (made.proxy_headers, made.forwarded_allow_ips) == (bool(trusted), trusted)
    assert made.server_header is False
    assert made.ws_max_size < 2**29


@pytest.mark.parametrize("said", ["*", "proxy", "10.0.0.1,*"])
def test_everybody_is_no_proxy(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.up.web import configuration

    monkeypatch.setenv("FORWARDED_ALLOW_IPS", said)
    with pytest.raises(SystemExit, match="FORWARDED_ALLOW_IPS"):
        configuration()


def test_plain_http_is_sent_to_tls_and_a_client_cannot_say_it_is_not(cast: Cast) -> None:
    """Without SECURE_PROXY_SSL_HEADER the scheme is the server's word: a header of the client's changes nothing."""
    from django.test import Client

    answer = Client().get("/healthz", headers={"X-Forwarded-Proto": "https"})
    assert answer.wsgi_request.scheme == "http"
