"""A streaming reverse proxy for HTTP and WebSocket, as building blocks for ASGI applications.

Nothing here knows of people or environments: who may pass is decided by the caller, which gives hooks for the
headers in both directions. Promises that callers rely on:

* Bodies are never held whole. A slow reader slows the sender down, in both directions.
* Repeated headers stay apart and keep their order (two `Set-Cookie` are two), bodies stay encoded as they came.
* There is no cookie jar, so that nothing of one person reaches another.
* A body that was begun is never sent a second time: a lost connection is an error, not a shortened upload.
* A client that goes away cancels the request upstream; an upstream that breaks off in the middle breaks the answer off
  too, so that a client never takes half a file for the whole one.

Headers are ASGI headers: a list of pairs of bytes with lower-case names.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp import payload
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict
from yarl import URL

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
HeaderHook = Callable[[Headers], Headers]
# Ends when the exchange has to end although both sides are alive; returns the WebSocket close code and a reason.
Guard = Callable[[], Awaitable[tuple[int, str]]]

# RFC 9110 section 7.6.1, and `expect`, which the server in front of us has answered already.
HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
    b"trailer", b"transfer-encoding", b"upgrade", b"expect",
}  # fmt: skip
CONNECT_SECONDS = 10
# Shorter than uvicorn's five seconds, so that a kept connection is not used in the moment its server closes it.
KEEP_ALIVE_SECONDS = 4
READ_BUFFER_BYTES = 256 * 1024
HEADER_BYTES = 64 * 1024
WEBSOCKET_MESSAGE_BYTES = 512 * 1024 * 1024
WEBSOCKET_HEARTBEAT_SECONDS = 30
WEBSOCKET_CLOSE_SECONDS = 2


@dataclass(frozen=True)
class Reply:
    """A small answer made here rather than upstream."""

    status: int
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    @classmethod
    def json(
        cls, status: int, data: dict[str, object], *, headers: Headers | None = None, problem: bool = False
    ) -> "Reply":
        kind = b"application/problem+json" if problem else b"application/json"
        own = [(b"content-type", kind), (b"cache-control", b"no-store")]
        return cls(status, [*own, *(headers or [])], json.dumps(data).encode())

    async def send(self, send: Send) -> None:
        length = (b"content-length", str(len(self.body)).encode())
        await send({"type": "http.response.start", "status": self.status, "headers": [*self.headers, length]})
        await send({"type": "http.response.body", "body": self.body})

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The reply as an ASGI application."""
        await self.send(send)


ErrorHook = Callable[[Exception], Reply]

_sessions: "WeakKeyDictionary[asyncio.AbstractEventLoop, aiohttp.ClientSession]" = WeakKeyDictionary()


def upstream_session() -> aiohttp.ClientSession:
    """The one session of the running event loop."""
    loop = asyncio.get_running_loop()
    session = _sessions.get(loop)
    if session is None or session.closed:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        _sessions[loop] = session
    return session


async def upstream_session_close() -> None:
    """Close the running loop's session; for the end of an ASGI lifespan."""
    session = _sessions.pop(asyncio.get_running_loop(), None)
    if session is not None:
        await session.close()


def header(headers: Headers, name: bytes) -> str | None:
    """First value of a header, or None."""
    return next((value.decode("latin-1") for key, value in headers if key == name), None)


def raw_path(scope: Scope) -> str:
    """The path as the client wrote it, still percent-encoded, without the query."""
    raw = scope.get("raw_path")
    return raw.decode("latin-1").partition("?")[0] if raw else quote(scope["path"], safe="/:@!$&'()*+,;=~-._")


def end_to_end(headers: Headers) -> Headers:
    """Headers without those that speak about one connection only."""
    named = {name.strip().lower() for key, value in headers if key == b"connection" for name in value.split(b",")}
    return [(key, value) for key, value in headers if key not in HOP_BY_HOP and key not in named]


def unreachable(error: Exception) -> Reply:
    """What a client gets when the upstream cannot be reached and the caller says nothing better."""
    detail = "What should answer here does not. Try again in a moment."
    return Reply.json(
        502,
        {"type": "about:blank", "title": "Not reachable", "status": 502, "detail": detail, "code": "core:unreachable"},
        headers=[(b"retry-after", b"2")],
        problem=True,
    )


class _RequestBody(payload.Payload):
    """The client's body, handed on chunk by chunk as it arrives, and the news that the client has gone."""

    _autoclose = True

    def __init__(self, receive: Receive, *, present: bool) -> None:
        super().__init__(None)
        self._receive = receive
        self._ended = asyncio.Event()
        self.client_gone = False
        if not present:
            self._ended.set()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise TypeError("the body is a stream")

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if self._consumed:
            raise aiohttp.ClientPayloadError("The connection was lost after a part of the body was sent")
        self._consumed = True  # aiohttp would otherwise send what is left of it over a second connection
        while not self._ended.is_set():
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.client_gone = True
                self._ended.set()
                raise aiohttp.ClientPayloadError("The client went away")
            if chunk := message.get("body"):
                await writer.write(chunk)
            if not message.get("more_body", False):
                self._ended.set()

    async def gone(self) -> None:
        """Returns when the client has gone away."""
        await self._ended.wait()
        while not self.client_gone:
            self.client_gone = (await self._receive())["type"] == "http.disconnect"


def _as_headers(headers: Headers) -> "CIMultiDict[str]":
    # aiohttp writes header text as UTF-8, so what came as UTF-8 leaves as the same bytes.
    return CIMultiDict((key.decode("latin-1"), value.decode("utf-8", "replace")) for key, value in headers)


def _target(scope: Scope, upstream: str, path: str | None, query: bytes | None) -> URL:
    query = scope.get("query_string", b"") if query is None else query
    target = upstream + (raw_path(scope) if path is None else path)
    return URL(f"{target}?{query.decode('latin-1')}" if query else target, encoded=True)


async def _first(*awaitables: Awaitable[Any]) -> asyncio.Task[Any]:
    """Run all, return the task that ended first, and see to it that no other is left running."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def proxy_http(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    upstream: str,
    path: str | None = None,
    query: bytes | None = None,
    request_headers: HeaderHook = list,
    response_headers: HeaderHook = list,
    on_error: ErrorHook = unreachable,
    guard: Guard | None = None,
) -> int | None:
    """Pass one request to `upstream` ("http://host:port") and its answer back; both are streamed.

    `path` is percent-encoded; None keeps the client's. `request_headers` sees the client's end-to-end headers, Host
    included, and returns what is sent; without a Host the upstream's own is used. `on_error` makes the answer when no
    answer came from upstream. Returns the status sent, or None where the exchange was broken off.
    """
    declared = header(scope["headers"], b"content-length")
    present = declared not in (None, "0") or header(scope["headers"], b"transfer-encoding") is not None
    body = _RequestBody(receive, present=present)
    status: list[int] = []

    async def exchange() -> None:
        try:
            async with upstream_session().request(
                scope["method"],
                _target(scope, upstream, path, query),
                headers=_as_headers(request_headers(end_to_end(scope["headers"]))),
                data=body if present else None,
                allow_redirects=False,
            ) as response:
                came = [(key.lower(), value) for key, value in response.raw_headers]
                headers = response_headers(end_to_end(came))
                status.append(response.status)
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                async for chunk in response.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if body.client_gone:
                return
            if status:  # Too late to say anything: ending without the last part makes the server cut the connection.
                logger.warning("The upstream of %s broke off: %s", scope["path"], type(error).__name__)
                status.clear()
                return
            reply = on_error(error)
            status.append(reply.status)
            await reply.send(send)

    first = asyncio.ensure_future(exchange())
    await (await _first(first, body.gone(), *([guard()] if guard else [])))
    return status[0] if status and first.done() and not first.cancelled() else None


def _close_code(code: int | None) -> int:
    """A code that may be sent: 1005, 1006 and 1015 only describe what was seen (RFC 6455 section 7.4.1)."""
    if code in (None, 1005):
        return 1000
    return 1011 if code in (1006, 1015) or not 1000 <= code < 5000 else code


async def websocket_refuse(scope: Scope, send: Send, reply: Reply) -> None:
    """Answer a handshake with an HTTP status where the server can, else with its plain 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        length = (b"content-length", str(len(reply.body)).encode())
        start = {"type": "websocket.http.response.start", "status": reply.status, "headers": [*reply.headers, length]}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": reply.body})
    else:
        await send({"type": "websocket.close", "code": 1008})


async def _to_upstream(
    receive: Receive, socket: aiohttp.ClientWebSocketResponse, on_message: Callable[[], None] | None
) -> tuple[int, str]:
    """Pump until the client leaves."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return message.get("code") or 1005, message.get("reason") or ""
        if on_message:
            on_message()
        if (text := message.get("text")) is not None:
            await socket.send_str(text)
        else:
            await socket.send_bytes(message.get("bytes") or b"")


async def _to_client(socket: aiohttp.ClientWebSocketResponse, send: Send) -> tuple[int, str]:
    """Pump until the upstream leaves."""
    while True:
        message = await socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        else:
            reason = message.extra if message.type is aiohttp.WSMsgType.CLOSE else ""
            return socket.close_code or 1006, reason or ""


async def proxy_websocket(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    upstream: str,
    path: str | None = None,
    query: bytes | None = None,
    request_headers: HeaderHook = list,
    response_headers: HeaderHook = list,
    on_error: ErrorHook = unreachable,
    guard: Guard | None = None,
    on_message: Callable[[], None] | None = None,
) -> None:
    """Join the client's WebSocket with one at `upstream`; subprotocol, messages and close codes pass both ways.

    Pings are answered on each side by itself. `on_message` is called for every message of the client. The call
    returns when both sides are closed.
    """
    if (await receive())["type"] != "websocket.connect":
        return
    headers = [
        pair for pair in request_headers(end_to_end(scope["headers"])) if not pair[0].startswith(b"sec-websocket-")
    ]
    try:
        socket = await upstream_session().ws_connect(
            _target(scope, upstream, path, query),
            protocols=scope.get("subprotocols") or (),
            headers=_as_headers(headers),
            heartbeat=WEBSOCKET_HEARTBEAT_SECONDS,
            max_msg_size=WEBSOCKET_MESSAGE_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=WEBSOCKET_CLOSE_SECONDS),
        )
    except aiohttp.WSServerHandshakeError as error:
        await websocket_refuse(scope, send, Reply(error.status))
        return
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        await websocket_refuse(scope, send, on_error(error))
        return
    async with socket:
        came = [(key.lower(), value) for key, value in socket._response.raw_headers]  # aiohttp has no public way
        kept = [pair for pair in response_headers(end_to_end(came)) if not pair[0].startswith(b"sec-websocket-")]
        await send({"type": "websocket.accept", "subprotocol": socket.protocol, "headers": kept})
        await _join(receive, send, socket, guard, on_message)


async def _join(
    receive: Receive,
    send: Send,
    socket: aiohttp.ClientWebSocketResponse,
    guard: Guard | None,
    on_message: Callable[[], None] | None,
) -> None:
    from_client = asyncio.ensure_future(_to_upstream(receive, socket, on_message))
    from_upstream = asyncio.ensure_future(_to_client(socket, send))
    ended = await _first(from_client, from_upstream, *([guard()] if guard else []))
    try:
        code, reason = ended.result()
    except (aiohttp.ClientError, ConnectionError, OSError, RuntimeError):
        code, reason = 1006, ""  # One of the two went away in the middle of a message.
    code = _close_code(code)
    if ended is not from_upstream:
        await socket.close(code=code, message=reason.encode()[:123])
    if ended is not from_client:
        try:
            await send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):
            logger.debug("The client of a WebSocket had gone already")
