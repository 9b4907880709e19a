"""The one HTTP door: every request shows the secret, because loopback is open to all services of a machine."""

import hmac
import html
import json

BODY_BYTES = 16 * 1024 * 1024
OPEN = {("GET", "/"), ("GET", "/slipway/health"), ("GET", "/ping"), ("GET", "/health"), ("GET", "/version"),
        ("POST", "/invocations")}  # fmt: skip


class Door:
    """ASGI application in front of MLflow's own; `about` is what it serves."""

    def __init__(self, inner, *, secret, about):
        self._inner = inner
        self._about = about
        self._wanted = f"token {secret}".encode()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            await self._inner(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        given = next((value for key, value in scope["headers"] if key == b"authorization"), b"")
        if not hmac.compare_digest(given, self._wanted):
            await _answer(send, 401, {"error": "Open this from its page in Slipway."})
        elif (scope["method"], scope["path"]) not in OPEN:
            await _answer(send, 404, {"error": "There is only POST /invocations."})
        elif scope["path"] == "/slipway/health":
            await _answer(send, 200, self._about)
        elif scope["path"] == "/":
            await _page(send, self._about)
        elif _too_large(scope):
            await _answer(send, 413, {"error": f"At most {BODY_BYTES // 2**20} MB are taken."})
        else:
            # What opens the door is not the business of what is behind it.
            kept = [pair for pair in scope["headers"] if pair[0] not in (b"authorization", b"cookie")]
            await self._inner({**scope, "headers": kept}, receive, send)


def _too_large(scope):
    if scope["method"] != "POST":
        return False
    length = next((value for key, value in scope["headers"] if key == b"content-length"), b"")
    # Without a length nobody knows how much will come.
    return not length.isdigit() or int(length) > BODY_BYTES


async def _answer(send, status, data):
    await _send(send, status, b"application/json", json.dumps(data).encode())


async def _page(send, about):
    model, version = html.escape(str(about["model"])), html.escape(str(about["version"]))
    notes = "".join(f"<p>{html.escape(line)}</p>" for line in about["differences"])
    body = (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{model}</title>'
        f"<h1>{model}, version {version}</h1>"
        f"<p>It answers POST /invocations. Send it predictions from its page in Slipway.</p>{notes}</html>"
    )
    await _send(send, 200, b"text/html; charset=utf-8", body.encode())


async def _send(send, status, kind, body):
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"default-src 'none'"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
