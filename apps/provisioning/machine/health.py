"""Whether a service answers."""

import contextlib
import http.client
import socket


def service_answers(port: int, path: str | None, secret: str, *, timeout: float = 2.0) -> bool:
    """GET `path` on the loopback port with the service's token; an answer of 2xx or 3xx counts.

    Without a path it is enough that something accepts a connection.
    """
    if not path:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=timeout):
                return True
        except OSError:
            return False
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path, headers={"Authorization": f"token {secret}"})
            return 200 <= connection.getresponse().status < 400
        except (OSError, http.client.HTTPException):
            return False
