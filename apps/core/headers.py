"""Headers that every answer of the portal's own host carries, whoever made it: Django, the live stream, a refusal.

Application hosts are not the portal's: what they answer is the application's affair, see `environments.access.headers`.
"""

from collections.abc import Callable, Iterable
from typing import Any

# Every feature that a page of ours never uses. `clipboard-write` copies addresses and tokens.
DENIED_FEATURES = (
    "accelerometer", "autoplay", "bluetooth", "camera", "display-capture", "encrypted-media", "fullscreen", "gamepad",
    "geolocation", "gyroscope", "hid", "idle-detection", "magnetometer", "microphone", "midi", "payment",
    "picture-in-picture", "publickey-credentials-get", "screen-wake-lock", "serial", "usb", "web-share",
    "xr-spatial-tracking",
)  # fmt: skip
PERMISSIONS_POLICY = ", ".join([*(f"{name}=()" for name in DENIED_FEATURES), "clipboard-write=(self)"])
# For what is no page: nothing of it may be run, shown in a frame or asked for.
NOTHING = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS_POLICY,
    "Content-Security-Policy": NOTHING,
}


def missing_headers(present: Iterable[str], *, hsts: str = "") -> dict[str, str]:
    """What an answer with these headers (any case) still lacks; `hsts` is the Strict-Transport-Security to send."""
    known = {name.lower() for name in present}
    wanted = {**ALWAYS, "Strict-Transport-Security": hsts} if hsts else ALWAYS
    return {name: value for name, value in wanted.items() if name.lower() not in known}


def with_headers(application: Callable[..., Any], *, hsts: str = "") -> Callable[..., Any]:
    """The ASGI application, its answers completed."""

    async def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> None:
        async def complete(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                present = list(message.get("headers", []))
                names = [name.decode("latin-1") for name, _ in present]
                more = missing_headers(names, hsts=hsts).items()
                message["headers"] = [*present, *((name.lower().encode(), value.encode()) for name, value in more)]
            await send(message)

        await application(scope, receive, complete)

    return wrapped
