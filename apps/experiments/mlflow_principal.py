"""Who calls: the token of a request and whom the portal says it stands for."""

import base64
import binascii
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from apps.core.proxying import Headers, header
from apps.experiments.mlflow_refusals import Refused
from apps.experiments.mlflow_rules import Call

REMEMBERED = 10_000
# How long a token may live on after it was revoked.
PRINCIPAL_SECONDS = 5


@dataclass(frozen=True)
class MlflowPrincipal:
    """Who a token stands for. `teams` are slugs; `default_team` owns registered models made without saying whose."""

    username: str
    teams: frozenset[str]
    scopes: frozenset[str]  # "read", "write"
    environment_id: str = ""
    default_team: str = ""
    reads_everything: bool = False  # auditors and platform engineers

    def may(self, call: Call, team: str | None) -> bool:
        """Whether a thing of this team (None: of nobody) is the caller's to read or change by this call."""
        return team in self.teams or (self.reads_everything and call.is_read)

    @property
    def home_team(self) -> str:
        return self.default_team or (next(iter(self.teams)) if len(self.teams) == 1 else "")


Authenticate = Callable[[str], Awaitable[MlflowPrincipal | None]]


class Principals:
    """Asks the portal about a token, and remembers a good answer for five seconds."""

    def __init__(self, authenticate: Authenticate, *, account: str) -> None:
        self._authenticate = authenticate
        self._account = account
        self._known: OrderedDict[bytes, tuple[float, MlflowPrincipal]] = OrderedDict()

    async def of(self, headers: Headers) -> MlflowPrincipal:
        token = token_read(headers)
        if not token:
            raise Refused(401, "UNAUTHENTICATED", f"Set MLFLOW_TRACKING_TOKEN to a token of {self._account}.")
        digest = hashlib.sha256(token.encode()).digest()
        expires, known = self._known.get(digest, (0.0, None))
        if known is not None and time.monotonic() < expires:
            return known
        principal = await self._authenticate(token)
        if principal is None:
            self._known.pop(digest, None)
            raise Refused(401, "UNAUTHENTICATED", f"The token is expired or unknown: make one on {self._account}.")
        self._known[digest] = (time.monotonic() + PRINCIPAL_SECONDS, principal)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return principal


def token_read(headers: Headers) -> str:
    """The token of `Bearer <token>`, or the password of `Basic`, which is what MLflow's two ways of setting it send."""
    scheme, _, value = (header(headers, b"authorization") or "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
