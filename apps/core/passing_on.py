"""An answer whose body is another server's: the view decides who may have it, the event loop streams it.

A view that answers with `PassedOn` has done its work; thread and database connection are given back before the first
byte is sent. The body goes through in pieces: a slow reader slows the other server down, one that leaves ends the
request there, and a file of any size takes as much memory as a small one.
"""

import logging
from collections.abc import Iterable
from typing import Any

import aiohttp
from django.http import HttpResponse
from yarl import URL

from apps.core.proxying import Send, upstream_session

logger = logging.getLogger(__name__)

# What the other server says about the file, not about itself. Type and disposition are for the view to say.
KEPT = frozenset({"content-length", "content-range", "accept-ranges", "etag", "last-modified"})
ASKED = ("Range", "If-Range", "If-None-Match", "If-Modified-Since")
PASSED = frozenset({200, 206, 304, 416})
SILENCE_SECONDS = 60


class PassedOn(HttpResponse):
    """Streams `address`, asked for with `asked` headers, under this response's own headers.

    The person's own conditions and range are handed on, and so are 206, 304 and 416 as answers.
    """

    def __init__(self, address: str, *, request: Any, asked: dict[str, str], **more: Any) -> None:
        super().__init__(**more)
        self.address = address
        self.method = "HEAD" if request.method == "HEAD" else "GET"
        self.asked = {**asked, **{name: request.headers[name] for name in ASKED if name in request.headers}}


async def pass_on(response: PassedOn, send: Send) -> None:
    """Send it as an ASGI answer; 404 or 503 where the other server gives no file."""
    # Nothing is said of how long the whole takes, only of how long nothing comes.
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_SECONDS)
    started = False
    try:
        async with upstream_session().request(
            response.method,
            URL(response.address, encoded=True),
            headers=response.asked,
            allow_redirects=False,
            timeout=timeout,
        ) as upstream:
            if upstream.status not in PASSED:
                await _say(response, send, 404 if upstream.status < 500 else 503)
                return
            kept = ((key.lower(), value) for key, value in upstream.headers.items() if key.lower() in KEPT)
            response.status_code = upstream.status
            started = True
            await send({"type": "http.response.start", "status": upstream.status, "headers": _head(response, kept)})
            if response.method == "GET":
                async for chunk in upstream.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if not started:
            await _say(response, send, 503)
            return
        # Ending without the last part makes the server cut the connection: nobody takes half a file for the whole.
        logger.warning("A file broke off on its way: %s", type(error).__name__)


def _head(response: PassedOn, more: Iterable[tuple[str, str]] = ()) -> list[tuple[bytes, bytes]]:
    own = {name.lower(): value for name, value in response.items()} | dict(more)
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in own.items()]


async def _say(response: PassedOn, send: Send, status: int) -> None:
    sentence = {
        404: "The file is not there, or no longer.",
        503: "The server that keeps this file does not answer just now. Nothing is lost; try again in a moment.",
    }[status]
    body = sentence.encode()
    response.status_code = status
    del response["Content-Disposition"]
    response["Content-Type"] = "text/plain; charset=utf-8"
    response["Content-Length"] = str(len(body))
    if status == 503:
        response["Retry-After"] = "5"
    await send({"type": "http.response.start", "status": status, "headers": _head(response)})
    await send({"type": "http.response.body", "body": body if response.method == "GET" else b""})
