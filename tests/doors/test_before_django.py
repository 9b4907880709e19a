"""Doors that stand before Django: application hosts, MLflow, the live stream, forward authentication, static files.

The whole ASGI application is asked, over rows that are really committed; behind it stands a small server that says yes.
"""

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, connections
from django.test import Client

import portal.asgi
import portal.doors
from apps.core.events import LiveHub
from apps.core.proxying import upstream_session_close
from apps.environments.access.contracts import Upstream
from tests.core.serving import aiohttp_served
from tests.doors.scene import Scene, scene_make
from tests.doors.table import TOKENS, document_check, render_before

pytestmark = pytest.mark.django_db(transaction=True)
NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
SECRET = "of-the-reverse-proxy-and-nobody-else"
PORTAL = "localhost:8000"


async def call(method: str, host: str, target: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """Status and headers of the first answer; a stream is left as soon as it begins."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", host.encode()), *((k.lower().encode(), v.encode()) for k, v in headers.items())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    begun: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start" and not begun.done():
            begun.set_result(message)

    task = asyncio.ensure_future(portal.asgi.application(scope, receive, send))
    await asyncio.wait({task, begun}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
    if not begun.done():
        await task
    message = begun.result()
    done, _ = await asyncio.wait({task}, timeout=0.2)
    if not done:
        task.cancel()
        await asyncio.wait({task})
    found = {key.decode().lower(): value.decode() for key, value in message["headers"]}
    return message["status"], found


def signed_in(user: Any) -> Client:
    client = Client(headers={"host": PORTAL})
    if user is not None:
        client.force_login(user)
    return client


async def enter(client: Client, host: str) -> tuple[str, str]:
    """How far a browser comes on an application host, and its cookie there: the way of DESIGN section 4."""
    status, headers = await call("GET", host, "/lab", NAVIGATION)
    assert status == 302, "a browser without a session is sent to the portal"
    verifier, to_portal = headers["set-cookie"].partition(";")[0], urlsplit(headers["location"])
    answer = await sync_to_async(client.get)(f"{to_portal.path}?{to_portal.query}")
    if answer.status_code != 302:
        return str(answer.status_code), ""
    if "/_slipway/ticket" not in answer["Location"]:
        return "sign-in", ""
    ticket = urlsplit(answer["Location"])
    status, headers = await call(
        "GET", ticket.netloc, f"{ticket.path}?{ticket.query}", {"cookie": verifier, **NAVIGATION}
    )
    assert status == 303
    cookie = headers["set-cookie"].partition(";")[0]
    status, _ = await call("GET", host, "/lab", {"cookie": cookie, **NAVIGATION})
    return str(status), cookie


async def yes(request: web.Request) -> web.Response:
    return web.json_response({"experiments": [], "runs": []})


async def doors_ask(scene: Scene, monkeypatch: pytest.MonkeyPatch, address: str) -> dict[str, dict[str, str]]:
    slug, host = scene.running.slug, f"{scene.running.slug}.apps.{PORTAL}"
    upstream = Upstream(str(scene.running.pk), slug, "running", address, "s")
    monkeypatch.setattr(portal.doors, "application_upstream", lambda environment: upstream)
    monkeypatch.setattr(portal.asgi.doors.mlflow, "_upstream", f"http://{address}")
    monkeypatch.setattr(portal.asgi.doors.mlflow._searches, "_upstream", f"http://{address}")
    monkeypatch.setattr(portal.asgi.doors.mlflow.ownership._lookups, "_upstream", f"http://{address}")
    visitors = {"anonymous": None, **scene.persons}
    table: dict[str, dict[str, str]] = {}

    def note(door: str, visitor: str, said: Any) -> None:
        table.setdefault(door, {})[visitor] = str(said)

    events, verify = "`/events/` by session", "`/access/verify` as the reverse proxy"
    for name, user in visitors.items():
        client = await sync_to_async(signed_in)(user)
        said, cookie = await enter(client, host)
        note("an application host, as a browser comes in", name, said)
        key = client.cookies.get(settings.SESSION_COOKIE_NAME)
        session = {"cookie": f"{settings.SESSION_COOKIE_NAME}={key.value}"} if key else {}
        note(events, name, (await call("GET", PORTAL, "/events/?topics=environments", session))[0])
        note("the same, asked by another site's page", name,
             (await call("GET", PORTAL, "/events/", {**session, "sec-fetch-site": "cross-site"}))[0])  # fmt: skip
        asked = {"x-forwarded-host": host, "x-forwarded-uri": "/lab", "x-forwarded-method": "GET", "cookie": cookie}
        proxy = {**asked, "x-slipway-proxy-secret": SECRET}
        note(verify, name, (await call("GET", PORTAL, "/access/verify?redirects=0", proxy))[0])
        note("the same without its secret", name, (await call("GET", PORTAL, "/access/verify", asked))[0])
        note("`/mlflow/` by session", name, (await call("GET", PORTAL, SEARCH, session))[0])
        note("`/static/`", name, (await call("GET", PORTAL, "/static/portal/js/portal.js", session))[0])
    by_token = [*((name, name) for name in scene.persons), *((name, name) for name in TOKENS)]
    for name, key_name in by_token:
        bearer = {"authorization": f"Bearer {scene.secrets[key_name]}"}
        note("`/mlflow/` by token, reading", name, (await call("GET", PORTAL, SEARCH, bearer))[0])
        create = "/mlflow/api/2.0/mlflow/runs/delete"
        note("`/mlflow/` by token, writing without a word", name, (await call("POST", PORTAL, create, bearer))[0])
        note("`/events/` by token", name, (await call("GET", PORTAL, "/events/", bearer))[0])
        note("an application host by token", name, (await call("GET", host, "/lab", bearer))[0])
    return table


SEARCH = "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"


@pytest.fixture
def committed(transactional_db: None) -> Scene:
    return scene_make()


async def test_doors_before_django(committed: Scene, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.ACCESS_PROXY_SECRET = SECRET
    server = web.Application()
    server.router.add_route("*", "/{tail:.*}", yes)
    hub = LiveHub(re.sub(r"/slipway(?=\?|$)", f"/{connection.settings_dict['NAME']}", settings.DATABASE_URL))
    monkeypatch.setattr(portal.asgi.doors.events, "hub", hub)
    async with aiohttp_served(server) as address:
        table = await doors_ask(committed, monkeypatch, address)
        await hub.close()
        await upstream_session_close()
        # The thread in which the browsers above ran keeps its connection otherwise.
        await sync_to_async(connections.close_all)()
    only_owner = table["an application host, as a browser comes in"]
    assert {name for name, said in only_owner.items() if said == "200"} == {"owner"}
    assert set(table["the same without its secret"].values()) == {"403"}
    assert set(table["`/mlflow/` by session"].values()) == {"401"}
    difference = document_check(render_before(table), before_django=True)
    assert not difference, difference
