"""Tickets: how the portal tells an application host who is in front of it. See the package's docstring for the flow."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from django.core import signing
from django.core.cache import cache

from apps.environments.access.contracts import TICKET_PATH, AccessSettings, Person, safe_path

SALT = "slipway.environments.access.ticket"
CHALLENGE = re.compile(r"[0-9a-f]{64}")
# Called with a name and seconds; True for the first caller with that name only, in all processes together.
Claim = Callable[[str, int], Awaitable[bool]]


@dataclass(frozen=True)
class Ticket:
    person: Person
    environment_id: str
    path: str


def verifier_new() -> str:
    return secrets.token_urlsafe(32)


def challenge_of(verifier: str) -> str:
    """What may be shown of a verifier: its hash (the same idea as RFC 7636, "S256")."""
    return hashlib.sha256(verifier.encode()).hexdigest()


def portal_open_url(settings: AccessSettings, *, slug: str, path: str, challenge: str = "") -> str:
    """The portal's page that issues a ticket, or says why it does not."""
    query = {"path": safe_path(path)} | ({"challenge": challenge} if challenge else {})
    return f"{settings.portal_url}/environments/open/{quote(slug)}/?{urlencode(query)}"


def ticket_issue(
    settings: AccessSettings, *, person: Person, environment_id: str, slug: str, path: str, challenge: str
) -> str:
    """The address to redirect the browser to. The caller has checked that the person may use the environment.

    Without a challenge the browser has not been at the application host yet: the address is then simply the page asked
    for, and the host sends the browser back with one.
    """
    if not CHALLENGE.fullmatch(challenge):
        return settings.application_url(slug, path)
    ticket = signing.dumps(
        {
            "u": person.user_id,
            "k": person.portal_session,
            "e": environment_id,
            "s": slug,
            "p": safe_path(path),
            "c": challenge,
            "j": secrets.token_urlsafe(16),
        },
        salt=SALT,
    )
    return f"{settings.application_url(slug, TICKET_PATH)}?{urlencode({'t': ticket})}"


async def claim_in_cache(name: str, seconds: int) -> bool:
    return bool(await cache.aadd(name, 1, timeout=seconds))


async def ticket_redeem(
    settings: AccessSettings, *, ticket: str, slug: str, verifiers: list[str], claim: Claim = claim_in_cache
) -> Ticket | None:
    """What the ticket says, once; None where it is forged, old, used, or was issued for another host or browser."""
    try:
        said = signing.loads(ticket, salt=SALT, max_age=settings.ticket_seconds)
    except signing.BadSignature:
        return None
    challenges = [challenge_of(verifier) for verifier in verifiers]
    if said["s"] != slug or not any(hmac.compare_digest(said["c"], challenge) for challenge in challenges):
        return None
    # Claimed last: a copied link tried in another browser does not use the ticket up.
    if not await claim(f"environments:ticket:{said['j']}", settings.ticket_seconds * 2):
        return None
    return Ticket(Person(said["u"], said["k"]), said["e"], safe_path(said["p"]))
