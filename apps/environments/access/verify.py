"""`GET /access/verify`: the same decision for a reverse proxy that carries the bytes itself (forward authentication).

The proxy asks with the original request's headers, `X-Slipway-Proxy-Secret`, and what the browser asked for:

* Traefik (`forwardAuth`) and nginx (`auth_request` with `proxy_set_header`) send `X-Forwarded-Host`, `-Uri` and
  `-Method`. nginx understands 200, 401 and 403 only: it asks for `/access/verify?redirects=0` and finds where the
  browser should go in `X-Slipway-Location`.
* Envoy (HTTP `ext_authz` with `path_prefix: /access/verify`) keeps method and Host and appends the path; it sends no
  `X-Forwarded-Uri`.

The proxy then sends the request on to `X-Slipway-Upstream` with `Authorization` and, in place of the browser's
cookies, `X-Slipway-Cookie` from the answer. `/_slipway/` of application hosts has to reach the portal itself.
"""

import hmac

from apps.core.proxying import Headers, Reply, Scope, header, raw_path
from apps.environments.access.contracts import Asked
from apps.environments.access.gate import Gate
from apps.environments.access.headers import cookie_for_upstream

SECRET_HEADER = b"x-slipway-proxy-secret"
PATH = "/access/verify"


def is_verification(scope: Scope, *, on_application_host: bool) -> bool:
    """Whether a reverse proxy asks. On an application host (Envoy) only with the proxy's header: the path is theirs."""
    if scope["type"] != "http" or not (scope["path"] == PATH or scope["path"].startswith(f"{PATH}/")):
        return False
    return not on_application_host or header(scope["headers"], SECRET_HEADER) is not None


async def verification(gate: Gate, scope: Scope, *, proxy_secret: str) -> Reply:
    """The answer to one request for `/access/verify`."""
    query = scope.get("query_string", b"").decode("latin-1")
    redirects = "redirects=0" not in query.split("&")
    headers: Headers = list(scope["headers"])
    if header(headers, b"x-forwarded-uri") is None and raw_path(scope).startswith(f"{PATH}/"):
        # Envoy: what the browser asked for is the request itself.
        rest = raw_path(scope).removeprefix(PATH) + (f"?{query}" if query else "")
        kept = [pair for pair in headers if pair[0] not in (b"x-forwarded-host", b"x-forwarded-method")]
        headers = [
            *kept,
            (b"x-forwarded-uri", rest.encode("latin-1")),
            (b"x-forwarded-method", scope["method"].encode()),
            (b"x-forwarded-host", (header(headers, b"host") or "").encode("latin-1")),
        ]
        redirects = True
    return await verify(gate, headers, proxy_secret=proxy_secret, redirects=redirects)


async def verify(gate: Gate, headers: Headers, *, proxy_secret: str, redirects: bool = True) -> Reply:
    """200 with the upstream's headers, or what to give the browser.

    `proxy_secret` is what the reverse proxy must send as `X-Slipway-Proxy-Secret`: the answer holds the application's
    secret. With `redirects=False` (nginx's auth_request takes 401 and 403 only) every refusal is 401 or 403, and where
    the browser should go stands in `X-Slipway-Location`.
    """
    if not proxy_secret or not hmac.compare_digest(
        (header(headers, SECRET_HEADER) or "").encode(), proxy_secret.encode()
    ):
        return Reply(403, [(b"cache-control", b"no-store")])
    path, _, query = (header(headers, b"x-forwarded-uri") or "/").partition("?")
    asked = Asked(
        method=header(headers, b"x-forwarded-method") or "GET",
        host=header(headers, b"x-forwarded-host") or "",
        path=path,
        query=query,
        headers=headers,
        websocket=(header(headers, b"upgrade") or "").lower() == "websocket",
    )
    decision = await gate.decide(asked)
    if isinstance(decision, Reply):
        return decision if redirects else _without_redirect(decision)
    upstream = decision.upstream
    allowed: Headers = [
        (b"cache-control", b"no-store"),
        (b"x-slipway-upstream", upstream.url.encode()),
        (b"x-slipway-cookie", cookie_for_upstream(gate.settings, headers).encode("latin-1")),
        *decision.cookies,
    ]
    if upstream.authorization:
        allowed.append((b"authorization", upstream.authorization.encode()))
    return Reply(200, allowed)


def _without_redirect(reply: Reply) -> Reply:
    named = [(b"x-slipway-location" if key == b"location" else key, value) for key, value in reply.headers]
    status = 401 if reply.status in (302, 303, 401, 503) else 403
    return Reply(status, named, reply.body)
