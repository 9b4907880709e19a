"""What of a request goes up to an application, and what of its answer comes down.

The application is code of its owner, and what runs in it is anybody's. It never sees the portal's cookies nor the
caller's `Authorization`, and its answers set no cookie for the neighbours.
"""

from urllib.parse import urlsplit

from apps.core.proxying import HeaderHook, Headers, Scope
from apps.environments.access.contracts import AccessSettings, Upstream
from apps.environments.access.sessions import is_reserved

NOT_UP = {b"authorization", b"cookie", b"forwarded", b"x-real-ip"}
NOT_UP_PREFIXES = (b"x-forwarded-", b"x-slipway-")
# The server in front writes its own Date. Strict-Transport-Security and its like would speak for hosts that are not the
# application's alone.
NOT_DOWN = {b"date", b"server", b"x-powered-by", b"strict-transport-security", b"alt-svc", b"public-key-pins"}


def cookie_for_upstream(settings: AccessSettings, headers: Headers) -> str:
    """The Cookie header without the portal's own."""
    pairs = (pair.strip() for key, value in headers if key == b"cookie" for pair in value.decode("latin-1").split(";"))
    return "; ".join(pair for pair in pairs if pair and not is_reserved(settings, pair.partition("=")[0].strip()))


def request_hook(settings: AccessSettings, upstream: Upstream, scope: Scope) -> HeaderHook:
    """Host and Origin stay as the browser sent them, so that the application's own checks of them hold."""
    client = (scope.get("client") or ("", 0))[0]

    def hook(headers: Headers) -> Headers:
        kept = [pair for pair in headers if pair[0] not in NOT_UP and not pair[0].startswith(NOT_UP_PREFIXES)]
        if cookie := cookie_for_upstream(settings, headers):
            kept.append((b"cookie", cookie.encode("latin-1")))
        if upstream.authorization:
            kept.append((b"authorization", upstream.authorization.encode()))
        host = next((value for key, value in headers if key == b"host"), b"")
        kept += [
            (b"x-forwarded-for", client.encode()),
            (b"x-forwarded-proto", urlsplit(settings.apps_url).scheme.encode()),
            (b"x-forwarded-host", host),
        ]
        return kept

    return hook


def cookie_for_browser(settings: AccessSettings, value: bytes) -> bytes | None:
    """A Set-Cookie of the application, for its own host only; None for a name that is not its to set."""
    first, *attributes = value.split(b";")
    name = first.partition(b"=")[0].strip().decode("latin-1")
    if not name or b"=" not in first or is_reserved(settings, name):
        return None
    kept = [part for part in attributes if part.partition(b"=")[0].strip().lower() != b"domain"]
    return b";".join([first, *kept])


def response_hook(settings: AccessSettings, cookies: Headers) -> HeaderHook:
    """`cookies` are Set-Cookie headers of our own to add."""

    def hook(headers: Headers) -> Headers:
        down: Headers = []
        for key, value in headers:
            if key == b"set-cookie":
                if (allowed := cookie_for_browser(settings, value)) is not None:
                    down.append((key, allowed))
            elif key not in NOT_DOWN:
                down.append((key, value))
        policies = [value.lower() for key, value in down if key == b"content-security-policy"]
        if not any(b"frame-ancestors" in policy for policy in policies):
            # A second policy beside the application's own: browsers enforce both.
            down.append((b"content-security-policy", b"frame-ancestors 'self'"))
        if not any(key == b"x-content-type-options" for key, _ in down):
            down.append((b"x-content-type-options", b"nosniff"))
        return down + cookies

    return hook
