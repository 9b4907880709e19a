"""The one HTTP door of a cluster: every request shows a secret, because loopback is open to all services of a machine.

* `Authorization: token <secret>`, which the portal's access proxy adds, opens the dashboard and `/slipway/health`.
* `Authorization: Bearer <connection key>`, which only the portal can make of the secret, opens `/slipway/connection`,
  where a client gets what it needs to connect. The proxy never sends it, so no browser reaches that.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

from tornado import httputil, web

OWN = "/slipway/"


def connection_key(secret: str) -> str:
    """The key under which the portal asks for a connection; made of the service's secret, and not the other way."""
    return hmac.new(secret.encode(), b"slipway connection", hashlib.sha256).hexdigest()


class Door(httputil.HTTPServerConnectionDelegate):
    """Stands before an application as the callback of a tornado HTTPServer; WebSockets begin as requests, so both."""

    def __init__(self, dashboard: Any, *, secret: str, own: web.Application) -> None:
        self.dashboard = dashboard
        self.own = own
        self._token = f"token {secret}".encode()
        self._bearer = f"Bearer {connection_key(secret)}".encode()

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> "_Request":
        return _Request(self, server_conn, request_conn)

    def behind(self, path: str, authorization: str) -> Any:
        """The application that answers, or None where the request shows nothing that opens it."""
        given = authorization.encode("utf-8", "replace")
        if hmac.compare_digest(given, self._bearer):
            return self.own if path == f"{OWN}connection" else None
        if not hmac.compare_digest(given, self._token) or path == f"{OWN}connection":
            return None
        return self.own if path.startswith(OWN) else self.dashboard


class _Request(httputil.HTTPMessageDelegate):
    """One request: handed on once its headers are seen to be good."""

    def __init__(self, door: Door, server_conn: object, request_conn: httputil.HTTPConnection) -> None:
        self.door = door
        self.server_conn = server_conn
        self.request_conn = request_conn
        self.inner: httputil.HTTPMessageDelegate | None = None

    def headers_received(self, start_line: Any, headers: httputil.HTTPHeaders) -> Any:
        path = start_line.path.partition("?")[0]
        application = self.door.behind(path, headers.get("Authorization", ""))
        if application is not None:
            # What opens the door is not the business of what is behind it.
            del headers["Authorization"]
            self.inner = application.start_request(self.server_conn, self.request_conn)
            return self.inner.headers_received(start_line, headers)
        body = b"Open this from its page in Slipway.\n"
        answer = httputil.HTTPHeaders(
            {"Content-Type": "text/plain", "Content-Length": str(len(body)), "WWW-Authenticate": "token"}
        )
        line = httputil.ResponseStartLine("HTTP/1.1", 401, "Unauthorized")
        self.request_conn.write_headers(line, answer, body)
        self.request_conn.finish()
        return None

    def data_received(self, chunk: bytes) -> Any:
        return self.inner.data_received(chunk) if self.inner else None

    def finish(self) -> None:
        if self.inner:
            self.inner.finish()

    def on_connection_close(self) -> None:
        if self.inner:
            self.inner.on_connection_close()


def own_pages(health: Callable[[], tuple[bool, dict[str, Any]]], connect: Callable[[str], dict[str, Any]]) -> Any:
    """`/slipway/health` (503 until all is there) and `/slipway/connection?for=<name>`."""

    class Health(_Json):
        def get(self) -> None:
            well, told = health()
            self.set_status(200 if well else 503)
            self.finish(json.dumps(told))

    class Connection(_Json):
        def post(self) -> None:
            self.finish(json.dumps(connect(self.get_query_argument("for", "client")[:200])))

    return web.Application([(f"{OWN}health", Health), (f"{OWN}connection", Connection)], log_function=_quiet)


class _Json(web.RequestHandler):
    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")


def _quiet(handler: web.RequestHandler) -> None:
    """The portal asks every few seconds: nothing for a log."""
