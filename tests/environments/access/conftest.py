"""An access proxy in front of a real small server, a portal that issues tickets, and people with browsers."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import aiohttp
import django
import pytest_asyncio
from aiohttp import web
from django.conf import settings as django_settings
from yarl import URL

from apps.core import proxying
from apps.environments.access.application import AccessApplication
from apps.environments.access.contracts import AccessSettings, Person, Resolution, Upstream
from apps.environments.access.tickets import ticket_issue
from tests.core.serving import aiohttp_served, asgi_served

if not django_settings.configured and not os.environ.get("DJANGO_SETTINGS_MODULE"):
    django_settings.configure(SECRET_KEY="tests-only-" + "x" * 50)
    django.setup()

SECRET = "the-notebooks-own-secret"
DANA = Person("dana", "d" * 64)
MALLORY = Person("mallory", "e" * 64)
NAVIGATION = {
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
    "Accept": "text/html",
}


@dataclass
class Portal:
    """What the portal knows: environments, and who may use which."""

    settings: AccessSettings
    environments: dict[str, Upstream] = field(default_factory=dict)
    allowed: dict[str, set[Person]] = field(default_factory=dict)
    asked: list[tuple[str, Person | None]] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    told: list[tuple[str, str, int]] = field(default_factory=list)
    down: bool = False

    async def resolve(self, slug, person):
        self.asked.append((slug, person))
        if self.down:
            raise ConnectionError("the database is away")
        return Resolution(self.environments.get(slug), person in self.allowed.get(slug, set()))

    async def claim(self, name, seconds):
        new = name not in self.claimed
        self.claimed.add(name)
        return new

    def tell(self, environment_id, kind, connections):
        self.told.append((environment_id, str(kind), connections))

    def change(self, slug, **changes):
        self.environments[slug] = replace(self.environments[slug], **changes)

    def issue(self, slug, person, path, challenge):
        environment_id = self.environments[slug].environment_id
        return ticket_issue(
            self.settings, person=person, environment_id=environment_id, slug=slug, path=path, challenge=challenge
        )


@dataclass
class Browser:
    """One person's browser: keeps the cookies of each host, and asks the portal as a signed-in person would."""

    client: aiohttp.ClientSession
    address: str
    portal: Portal
    person: Person
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    def host(self, slug):
        return f"{slug}.apps.localhost:{self.address.rpartition(':')[2]}"

    def headers(self, slug, extra):
        jar = self.cookies.get(slug, {})
        own = {"Host": self.host(slug)}
        if jar:
            own["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        return {**own, **extra}

    async def ask(self, slug, path="/", *, method="GET", headers=None, **options):
        """One request, no redirect followed; the body is read."""
        url = URL(f"http://{self.address}{path}", encoded=True)
        sent = self.headers(slug, {"Sec-Fetch-Site": "same-origin", **(headers or {})})
        async with self.client.request(method, url, headers=sent, allow_redirects=False, **options) as response:
            await response.read()
            for name, morsel in response.cookies.items():
                self.cookies.setdefault(slug, {})[name] = morsel.value
            return response

    async def go(self, slug, path="/"):
        return await self.ask(slug, path, headers=NAVIGATION)

    async def open(self, slug, path="/"):
        """What happens on a click: to the portal, back with a ticket, to the page."""
        response = await self.go(slug, path)
        for _ in range(4):
            if response.status not in (302, 303):
                break
            target = response.headers["Location"]
            if target.startswith(self.portal.settings.portal_url):
                asked = parse_qs(urlsplit(target).query)
                target = self.portal.issue(slug, self.person, asked["path"][0], asked["challenge"][0])
            parts = urlsplit(target)
            response = await self.go(slug, parts.path + (f"?{parts.query}" if parts.query else ""))
        return response

    def websocket(self, slug, path="/echo", *, origin=None, **headers):
        extra = {"Origin": origin or f"http://{self.host(slug)}", **headers}
        return self.client.ws_connect(f"http://{self.address}{path}", headers=self.headers(slug, extra))


async def _page(request):
    if request.headers.get("Authorization") != f"token {SECRET}":
        raise web.HTTPForbidden(text="no token")
    seen = {name.lower(): value for name, value in request.headers.items()}
    response = web.json_response({"path": request.raw_path, "headers": seen, "body": (await request.read()).decode()})
    response.headers.add("Set-Cookie", "_xsrf=1; Domain=apps.localhost; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "slipway-app-nb-2=stolen; Path=/")
    response.headers.add("Set-Cookie", "__HOST-slipway_session=stolen; Path=/")
    response.headers.add("Set-Cookie", "=slipway-app-nb-2=stolen")
    response.headers.add("Set-Cookie", "username=dana; Path=/")
    return response


async def _echo(request):
    sock = web.WebSocketResponse()
    await sock.prepare(request)
    async for message in sock:
        await sock.send_str(message.data)
    return sock


@pytest_asyncio.fixture
async def portal():
    notebook = web.Application()
    notebook.router.add_get("/echo", _echo)
    notebook.router.add_route("*", "/{rest:.*}", _page)
    async with aiohttp_served(notebook) as address:
        portal = Portal(AccessSettings("http://localhost:8000", "http://apps.localhost:8000", recheck_seconds=0.2))
        for number in (1, 2):
            slug = f"nb-{number}"
            portal.environments[slug] = Upstream(f"id-{number}", slug, "running", address, SECRET, title="JupyterLab")
            portal.allowed[slug] = {DANA}
        yield portal


@pytest_asyncio.fixture
async def application(portal):
    return AccessApplication(portal.resolve, settings=portal.settings, activity=portal.tell, claim=portal.claim)


@pytest_asyncio.fixture
async def browsers(portal, application):
    """A function from a person to a new browser of theirs."""
    async with (
        asgi_served(application) as address,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client,
    ):
        portal.settings = application.settings = application.gate.settings = replace(
            portal.settings, apps_url=f"http://apps.localhost:{address.rpartition(':')[2]}"
        )
        yield lambda person: Browser(client, address, portal, person)
        await asyncio.sleep(0)
    await proxying.upstream_session_close()
