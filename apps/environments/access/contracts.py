"""What the access proxy needs to know, and from whom: plain values and the calls that the caller injects."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from apps.core.proxying import Headers, Scope, header, raw_path

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
TICKET_PATH = "/_slipway/ticket"
OWN_PATHS = "/_slipway/"


class Auth(StrEnum):
    """How the application wants its secret; the values of `auth` in a module's `applications`."""

    AUTHORIZATION_TOKEN = "authorization-token"  # noqa: S105 - "Authorization: token <secret>", for Jupyter
    AUTHORIZATION_BEARER = "authorization-bearer"
    NONE = "none"


@dataclass(frozen=True)
class Upstream:
    """The application of one environment. `address` is "host:port" or a URL; empty while nothing runs."""

    environment_id: str
    slug: str
    status: str  # the environment's status; only "running" is proxied
    address: str = ""
    secret: str = field(default="", repr=False)
    auth: Auth | str = Auth.AUTHORIZATION_TOKEN
    title: str = "The application"

    @property
    def url(self) -> str:
        return (self.address if "://" in self.address else f"http://{self.address}").rstrip("/")

    @property
    def authorization(self) -> str | None:
        scheme = {Auth.AUTHORIZATION_TOKEN: "token", Auth.AUTHORIZATION_BEARER: "Bearer"}.get(Auth(self.auth))
        return f"{scheme} {self.secret}" if scheme and self.secret else None


@dataclass(frozen=True)
class Person:
    """Who holds a session on an application host, and from which sign-in at the portal it came."""

    user_id: str
    portal_session: str  # SHA-256 of the portal's session key, hex


@dataclass(frozen=True)
class Resolution:
    """`upstream` is None for a slug that does not exist. `permitted` is False without a person."""

    upstream: Upstream | None
    permitted: bool = False


# Told apart by the slug and the person (None: nobody is signed in). Must check, now: that the portal session lives and
# is of that user, that the user is active, and that the user may use the environment.
Resolver = Callable[[str, Person | None], Awaitable[Resolution]]


class Activity(StrEnum):
    """What people did. Only `POLL` happens without anyone in front of the screen."""

    PAGE = "page"  # a page was opened
    CHANGE = "change"  # a request that changes something: a file saved, a kernel started
    MESSAGE = "message"  # a message of the browser over a WebSocket: a cell run, a key in a terminal
    POLL = "poll"  # other requests: JupyterLab asks for its kernels every few seconds
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


# Called with the environment's id, the kind and the number of its open WebSockets in this process.
ActivityCallback = Callable[[str, Activity, int], Awaitable[None] | None]


@dataclass(frozen=True)
class AccessSettings:
    """Addresses as people type them, without a trailing slash, and how long things last (seconds)."""

    portal_url: str
    apps_url: str
    reserved_cookies: frozenset[str] = frozenset()  # further names that never go up or come down
    session_seconds: int = 7 * 24 * 3600
    ticket_seconds: int = 60
    recheck_seconds: float = 2  # age of an answer, and of the look at open sockets: together under five seconds
    blind_seconds: float = 30  # how long what is open stays open while nobody can be asked

    @property
    def secure(self) -> bool:
        return urlsplit(self.apps_url).scheme == "https"

    @property
    def apps_host(self) -> str:
        return urlsplit(self.apps_url).hostname or ""

    def slug_of(self, host: str) -> str | None:
        """The slug in a Host header ("nb-1.apps.localhost:8000"), None where it names no application."""
        name = host.rpartition(":")[0] if re.search(r":\d*$", host) else host
        label, _, rest = name.lower().rstrip(".").partition(".")
        return label if rest == self.apps_host and SLUG.fullmatch(label) else None

    def is_application_host(self, host: str) -> bool:
        name = (host.rpartition(":")[0] if re.search(r":\d*$", host) else host).lower().rstrip(".")
        return name == self.apps_host or name.endswith(f".{self.apps_host}")

    def application_url(self, slug: str, path: str = "/") -> str:
        """Where people open an environment's application."""
        parts = urlsplit(self.apps_url)
        return f"{parts.scheme}://{slug}.{parts.netloc}{safe_path(path)}"


@dataclass(frozen=True)
class Asked:
    """One request or WebSocket handshake, whether it came here or is asked about by another proxy."""

    method: str
    host: str
    path: str  # percent-encoded, without query
    query: str
    headers: Headers
    websocket: bool = False

    @classmethod
    def from_scope(cls, scope: Scope) -> "Asked":
        return cls(
            method=scope.get("method", "GET"),
            host=header(scope["headers"], b"host") or "",
            path=raw_path(scope),
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=scope["headers"],
            websocket=scope["type"] == "websocket",
        )

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: str) -> str:
        return header(self.headers, name.encode()) or ""

    @property
    def is_navigation(self) -> bool:
        """A page a person opens, as against something a page's script asks for."""
        if self.websocket or self.method not in ("GET", "HEAD"):
            return False
        mode = self.header("sec-fetch-mode")
        return mode == "navigate" if mode else "text/html" in self.header("accept")

    def cookies(self, name: str) -> list[str]:
        """Every value sent under a name: a neighbour can plant a second cookie beside ours."""
        pairs = (pair.partition("=") for value in self._cookie_headers() for pair in value.split(";"))
        return [value.strip() for key, _, value in pairs if key.strip() == name]

    def _cookie_headers(self) -> list[str]:
        return [value.decode("latin-1") for key, value in self.headers if key == b"cookie"]


def safe_path(path: str) -> str:
    """`path` where it stays on its own host, "/" where it would not (`//other.example`, `/\\other.example`, a URL)."""
    if (
        not path.startswith("/")
        or path[1:2] in ("/", "\\")
        or any(ord(letter) <= 32 or ord(letter) == 127 for letter in path)
    ):
        return "/"
    return "/" if "\\" in path.partition("?")[0] else path
