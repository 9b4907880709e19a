"""The web process: uvicorn on sockets that the supervisor bound, so that the port stays ours while this restarts.

python -m portal.up.web <file descriptor> ...
"""

import ipaddress
import os
import socket
import sys
from importlib import import_module

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from apps.core.garbage import garbage_settle

# JupyterLab sends whole notebooks and outputs as single WebSocket messages.
WEBSOCKET_MESSAGE_BYTES = 256 * 1024 * 1024
# The parser keeps a head it has not seen the end of; the limits of apps.core.limits apply once it has.
# Browsers send up to 180 cookies of 4 KB, and whoever has been given those is to be told.
HEAD_BYTES = 1024 * 1024
HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Gives up on a client whose request line and headers do not come to an end."""

    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def on_headers_complete(self) -> None:
        # What follows is a body, counted elsewhere, until the next message begins.
        self._head_bytes = -(2**62)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0


def trusted_proxies(said: str) -> list[str]:
    """Addresses and networks of FORWARDED_ALLOW_IPS. Raises `ValueError`: "*" would believe everybody."""
    found = [part.strip() for part in said.split(",") if part.strip()]
    for part in found:
        ipaddress.ip_network(part, strict=False)
    return found


def configuration() -> uvicorn.Config:
    try:
        proxies = trusted_proxies(os.environ.get("FORWARDED_ALLOW_IPS", ""))
    except ValueError as error:
        raise SystemExit(f"FORWARDED_ALLOW_IPS: name addresses or networks of your proxies; {error}") from None
    return uvicorn.Config(
        "portal.asgi:application",
        http=BoundedHttpProtocol,
        access_log=False,
        server_header=False,
        # Its lines go through the portal's own logging, which takes secrets out of them.
        log_config=None,
        log_level="info",
        # Only behind a proxy that is named may a request say where it comes from and by which scheme.
        proxy_headers=bool(proxies),
        forwarded_allow_ips=proxies or [],
        timeout_graceful_shutdown=3,
        ws_max_size=WEBSOCKET_MESSAGE_BYTES,
    )


def main(descriptors: list[str]) -> None:
    configured = configuration()
    configured.load()
    import_module("portal.urls")
    garbage_settle()
    uvicorn.Server(configured).run(sockets=[socket.socket(fileno=int(number)) for number in descriptors])


if __name__ == "__main__":
    main(sys.argv[1:])
