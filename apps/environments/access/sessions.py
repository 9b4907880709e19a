"""The cookies of an application host: the session, and the verifier that binds a ticket to one browser.

Browsers share cookies between the ports of one host, so every name carries the slug; a slug is never used again. The
value is signed, not secret. It holds no right by itself: whether the person may come in is asked at every request.
"""

import secrets
import time
from dataclasses import dataclass

from django.core import signing

from apps.environments.access.contracts import AccessSettings, Asked, Person
from apps.environments.access.tickets import Ticket, verifier_new

SALT = "slipway.environments.access.session"
PREFIX = "slipway-app-"
VERIFIER_PREFIX = "slipway-way-"
VERIFIER_SECONDS = 600


@dataclass(frozen=True)
class Session:
    person: Person
    environment_id: str
    issued_at: float

    @property
    def age(self) -> float:
        return time.time() - self.issued_at


def cookie_name(settings: AccessSettings, slug: str, prefix: str = PREFIX) -> str:
    return f"__Host-{prefix}{slug}" if settings.secure else f"{prefix}{slug}"


def is_reserved(settings: AccessSettings, name: str) -> bool:
    """Names of the portal's own cookies, which applications neither see nor set. Browsers fold the prefix's case."""
    bare = name.lower().removeprefix("__host-").removeprefix("__secure-")
    return bare.startswith("slipway") or name in settings.reserved_cookies


def _cookie(settings: AccessSettings, name: str, value: str, seconds: int) -> tuple[bytes, bytes]:
    secure = "; Secure" if settings.secure else ""
    text = f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return (b"set-cookie", text.encode())


def session_cookie(settings: AccessSettings, slug: str, ticket: Ticket | Session) -> tuple[bytes, bytes]:
    """A Set-Cookie header with a new session."""
    value = signing.dumps(
        {
            "i": secrets.token_urlsafe(12),
            "u": ticket.person.user_id,
            "k": ticket.person.portal_session,
            "e": ticket.environment_id,
        },
        salt=SALT,
    )
    return _cookie(settings, cookie_name(settings, slug), value, settings.session_seconds)


def session_read(settings: AccessSettings, slug: str, asked: Asked) -> Session | None:
    """The first valid session among the cookies of that name."""
    for value in asked.cookies(cookie_name(settings, slug)):
        try:
            said = signing.loads(value, salt=SALT, max_age=settings.session_seconds)
            # TimestampSigner writes "<payload>:<time in base 62>:<signature>".
            issued_at = signing.b62_decode(value.rsplit(":", 2)[1])
        except (signing.BadSignature, ValueError, IndexError):
            continue
        return Session(Person(said["u"], said["k"]), said["e"], issued_at)
    return None


def session_is_ageing(settings: AccessSettings, session: Session) -> bool:
    """Time to hand out a new cookie, so that someone who works every day is never sent through the portal."""
    return session.age > settings.session_seconds / 7


def verifiers_read(settings: AccessSettings, slug: str, asked: Asked) -> list[str]:
    return [value for value in asked.cookies(cookie_name(settings, slug, VERIFIER_PREFIX)) if len(value) >= 40]


def verifier_for(settings: AccessSettings, slug: str, asked: Asked) -> tuple[str, list[tuple[bytes, bytes]]]:
    """The browser's verifier and the headers that keep it there: one for all tabs that are on their way in."""
    known = verifiers_read(settings, slug, asked)
    verifier = known[0] if known else verifier_new()
    name = cookie_name(settings, slug, VERIFIER_PREFIX)
    return verifier, [_cookie(settings, name, verifier, VERIFIER_SECONDS)]
