"""The decision about one request: let it pass to which upstream, or answer what instead."""

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from apps.core.proxying import Headers, Reply
from apps.environments.access import pages, sessions
from apps.environments.access.contracts import (
    OWN_PATHS,
    TICKET_PATH,
    AccessSettings,
    Asked,
    Person,
    Resolution,
    Resolver,
    Upstream,
)
from apps.environments.access.origin import is_foreign
from apps.environments.access.tickets import (
    Claim,
    challenge_of,
    claim_in_cache,
    portal_open_url,
    ticket_redeem,
)

logger = logging.getLogger(__name__)

REMEMBERED = 10_000
# No, "not running" and "no such thing" are asked again soon: people reload until it works.
REMEMBER_NO_SECONDS = 0.5
# A session this young that is refused is not sent through the portal again: it has just come from there.
JUST_ISSUED_SECONDS = 10
PERMITTED_METHODS = {"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"} | {
    "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH",
}  # fmt: skip


@dataclass(frozen=True)
class Admitted:
    """`cookies` are Set-Cookie headers for the answer."""

    upstream: Upstream
    person: Person
    cookies: Headers = field(default_factory=list)


class Gate:
    """Decides with the injected resolver; remembers answers for `recheck_seconds` and asks once for many callers."""

    def __init__(self, settings: AccessSettings, resolver: Resolver, *, claim: Claim = claim_in_cache) -> None:
        self.settings = settings
        self._resolver = resolver
        self._claim = claim
        self._known: OrderedDict[tuple[str, Person | None], tuple[float, Resolution]] = OrderedDict()
        self._asking: dict[tuple[str, Person | None], asyncio.Task[Resolution]] = {}

    async def decide(self, asked: Asked) -> Admitted | Reply:
        slug = self.settings.slug_of(asked.host)
        if slug is None:
            return pages.not_found(asked, self.settings.portal_url)
        if asked.path.startswith(OWN_PATHS):
            return await self._redeem(asked, slug)
        if asked.method not in PERMITTED_METHODS or is_foreign(self.settings, asked):
            return pages.foreign(asked)
        session = sessions.session_read(self.settings, slug, asked)
        try:
            resolution = await self.resolve(slug, session.person if session else None)
        except Exception:
            logger.exception("Access to %s could not be looked up", slug)
            return pages.undecided(asked)
        upstream = resolution.upstream
        if upstream is None:
            return pages.not_found(asked, self.settings.portal_url)
        if session is None or session.environment_id != upstream.environment_id or not resolution.permitted:
            return self._refuse(asked, slug, session)
        if upstream.status != "running" or not upstream.address:
            return self._to_portal(asked, slug, pages.not_running(asked, upstream.status, upstream.title))
        ageing = sessions.session_is_ageing(self.settings, session) and not asked.websocket
        cookies = [sessions.session_cookie(self.settings, slug, session)] if ageing else []
        return Admitted(upstream, session.person, cookies)

    async def resolve(self, slug: str, person: Person | None) -> Resolution:
        """The resolver's answer, at most `recheck_seconds` old. Raises what the resolver raises."""
        key = (slug, person)
        expires, known = self._known.get(key, (0.0, None))
        if known is not None and time.monotonic() < expires:
            return known
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._resolver(slug, person))
            task.add_done_callback(lambda done: self._remember(key, done))
        # Shielded: the one whose request began the question may leave while others wait for the answer.
        return await asyncio.shield(task)

    def _remember(self, key: tuple[str, Person | None], task: "asyncio.Task[Resolution]") -> None:
        self._asking.pop(key, None)
        if task.cancelled() or task.exception() is not None:
            return
        resolution = task.result()
        good = resolution.permitted and resolution.upstream is not None and resolution.upstream.status == "running"
        lasts = min(self.settings.recheck_seconds, 5) if good else REMEMBER_NO_SECONDS
        self._known[key] = (time.monotonic() + lasts, resolution)
        self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, slug: str) -> None:
        """Ask afresh about an environment."""
        for key in [key for key in self._known if key[0] == slug]:
            del self._known[key]

    def portal_page(self, asked: Asked, slug: str) -> str:
        return portal_open_url(self.settings, slug=slug, path=asked.target)

    def _refuse(self, asked: Asked, slug: str, session: sessions.Session | None) -> Reply:
        if session is not None and session.age < JUST_ISSUED_SECONDS and asked.is_navigation:
            return pages.not_found(asked, self.settings.portal_url)
        return self._to_portal(asked, slug, pages.sign_in_first(asked))

    def _to_portal(self, asked: Asked, slug: str, otherwise: Reply) -> Reply:
        """Send a person to the portal's page about this environment; scripts get `otherwise`."""
        if not asked.is_navigation:
            return otherwise
        verifier, cookies = sessions.verifier_for(self.settings, slug, asked)
        url = portal_open_url(self.settings, slug=slug, path=asked.target, challenge=challenge_of(verifier))
        return Reply(302, [(b"location", url.encode()), (b"cache-control", b"no-store"), *cookies])

    async def _redeem(self, asked: Asked, slug: str) -> Reply:
        if asked.path != TICKET_PATH or asked.method != "GET" or asked.websocket:
            return pages.not_found(asked, self.settings.portal_url)
        ticket = await ticket_redeem(
            self.settings,
            ticket=parse_qs(asked.query).get("t", [""])[0],
            slug=slug,
            verifiers=sessions.verifiers_read(self.settings, slug, asked),
            claim=self._claim,
        )
        if ticket is None:
            return pages.ticket_refused(asked, portal_open_url(self.settings, slug=slug, path="/"))
        self.forget(slug)
        cookie = sessions.session_cookie(self.settings, slug, ticket)
        headers = [(b"location", ticket.path.encode()), (b"cache-control", b"no-store"), cookie]
        return Reply(303, [*headers, (b"referrer-policy", b"no-referrer")])
