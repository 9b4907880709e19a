"""The web process: uvicorn on sockets that the supervisor bound, so that the port stays ours while this restarts.

python -m portal.up.web <file descriptor> ...
"""

import os
import socket
import sys

import uvicorn

# JupyterLab sends whole notebooks and outputs as single WebSocket messages.
WEBSOCKET_MESSAGE_BYTES = 256 * 1024 * 1024


def main(descriptors: list[str]) -> None:
    config = uvicorn.Config(
        "portal.asgi:application",
        access_log=False,
        server_header=False,
        log_level="info",
        # Only behind a proxy that is named may a request say where it comes from.
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
        timeout_graceful_shutdown=3,
        ws_max_size=WEBSOCKET_MESSAGE_BYTES,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(number)) for number in descriptors])


if __name__ == "__main__":
    main(sys.argv[1:])
