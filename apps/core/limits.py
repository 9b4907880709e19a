"""What a request may weigh, held before anything reads it: address, headers and body.

Django's own limit is for forms; it does not see what a REST parser streams, and only after the body was received.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from apps.core.proxying import Reply

Message = MutableMapping[str, Any]
ADDRESS_BYTES = 8 * 1024
HEADER_BYTES = 32 * 1024
HEADER_COUNT = 100
BODY_BYTES = 2_000_000

# Addresses that take files, by path, with what they may weigh.
_uploads: dict[str, int] = {}


def register_upload(path: str, body_bytes: int) -> None:
    """Let an address take more than forms and JSON weigh; its view has to bound the file itself."""
    _uploads[path] = body_bytes


TEXTS = {
    413: ("core:too-large", "The request is too large", f"At most {BODY_BYTES // 1_000_000} MB are taken."),
    414: ("core:address-too-long", "The address is too long", f"At most {ADDRESS_BYTES} bytes are taken."),
    431: ("core:headers-too-large", "The headers are too large", f"At most {HEADER_BYTES} bytes are taken."),
}


class TooLarge(Exception):
    """The body went beyond its limit while it was being received."""


def refusal(status: int, *, cookies_clear: bool = False) -> Reply:
    code, title, detail = TEXTS[status]
    if cookies_clear:
        detail += " Cookies filled them and have been taken away: reload the page."
    body: dict[str, object] = {
        "type": f"urn:slipway:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    # The rest of a body that nobody reads would be taken for the next request.
    headers = [(b"connection", b"close")]
    if cookies_clear:
        headers.append((b"clear-site-data", b'"cookies"'))
    return Reply.json(status, body, headers=headers, problem=True)


def head_refusal(scope: dict[str, Any]) -> Reply | None:
    """414 or 431 for what is too long, also for hosts whose bodies are not bounded here."""
    address = len(scope.get("raw_path") or scope["path"].encode()) + len(scope.get("query_string", b""))
    if address > ADDRESS_BYTES:
        return refusal(414)
    headers = scope["headers"]
    if len(headers) > HEADER_COUNT or sum(len(name) + len(value) for name, value in headers) > HEADER_BYTES:
        # A page of one application can set cookies that browsers send to all; nobody could get rid of them by hand.
        cookies = sum(len(value) for name, value in headers if name == b"cookie")
        return refusal(431, cookies_clear=cookies > HEADER_BYTES // 2)
    return None


def limited(application: Callable[..., Any], *, body_bytes: int = BODY_BYTES) -> Callable[..., Any]:
    """The ASGI application, spared requests beyond the limits."""

    async def wrapped(scope: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        allowed = max(body_bytes, _uploads.get(scope["path"], 0))
        refused = head_refusal(scope) or (refusal(413) if _declared(scope) > allowed else None)
        if refused is not None:
            return await refused.send(send)
        received, answered = 0, False

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > allowed:
                raise TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await application(scope, counted, noted)
        except TooLarge:
            if not answered:
                await refusal(413).send(send)

    return wrapped


def _declared(scope: dict[str, Any]) -> int:
    value = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(value) if value.isdigit() and len(value) < 20 else 0
