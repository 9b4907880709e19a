"""The machine's HTTP/1.1 JSON API on a unix socket (0600 in a private directory).

Terraform and its provider run as the agent's own user, so nobody else needs to connect; what a caller may touch is
decided by its environment token alone. Services have no business here: where they can reach the socket all the same
(Landlock does not hide it), they are turned away before they can take the place of somebody who waits.
"""

import contextlib
import json
import logging
import os
import select
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from .errors import InvalidRequest, MachineError, NotFound

BODY_LIMIT = 8 * 1024 * 1024
_CONNECTIONS = 64
logger = logging.getLogger(__name__)
_serving = threading.local()

# (method, path parts, body, authorization header) to (status, answer or None for no content).
Dispatch = Callable[[str, list[str], Any, str | None], tuple[int, dict[str, Any] | None]]


class ApiServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves `dispatch` on `path` from threads of its own; `start` and `close`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: Path, dispatch: Dispatch, *, turned_away: Callable[[int], bool]) -> None:
        if len(os.fsencode(path)) > 107:
            raise ValueError(f"{path} is too long for a unix socket (107 bytes): choose a shorter data directory")
        self.path = path
        self.dispatch = dispatch
        self.turned_away = turned_away
        self._slots = threading.BoundedSemaphore(_CONNECTIONS)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # The caller holds the machine's lock: a socket that is there was left by an agent that is gone.
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            super().__init__(str(path), _Handler)
        finally:
            os.umask(before)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.2,), name="machine-api", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self.path.unlink(missing_ok=True)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        pid = struct.unpack("3i", request.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        return not self.turned_away(pid)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._slots.acquire()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        logger.debug("a connection ended early: %s", sys.exc_info()[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer
    timeout = 30  # Seconds a client may stay silent; an answer may take as long as it needs.

    def _handle(self) -> None:
        try:
            body = self._body()
            parts = [part for part in self.path.partition("?")[0].split("/") if part]
            _serving.connection = self.connection
            status, answer = self.server.dispatch(self.command, parts, body, self.headers.get("Authorization"))
        except MachineError as error:
            status, answer = error.status, error.problem()
        except Exception:
            logger.exception("unexpected error in %s %s", self.command, self.path)
            status, answer = 500, MachineError("An unexpected error; the agent's log has the details.").problem()
        self._answer(status, answer)

    do_GET = do_PUT = do_DELETE = do_POST = do_PATCH = _handle  # noqa: N815 - names that http.server calls

    def _body(self) -> Any:
        if self.headers.get("Transfer-Encoding"):
            self.close_connection = True
            raise InvalidRequest("Send the body with a Content-Length.", status=411, code="machine:length-required")
        text = self.headers.get("Content-Length", "0")
        if not text.isdigit():
            self.close_connection = True
            raise InvalidRequest("Content-Length is not a number.", status=400)
        length = int(text)
        if length > BODY_LIMIT:
            self.close_connection = True
            raise InvalidRequest("The body is larger than 8 MiB.", status=413, code="machine:body-too-large")
        raw = self.rfile.read(length)
        if not raw:
            return None
        try:
            return json.loads(raw)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"The body is not JSON: {error}") from error

    def _answer(self, status: int, answer: dict[str, Any] | None) -> None:
        raw = b"" if answer is None else json.dumps(answer).encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, socket.timeout):
            self.send_response(status, HTTPStatus(status).phrase)
            if answer is not None:
                problem = status >= 400
                self.send_header("Content-Type", "application/problem+json" if problem else "application/json")
            if status != 204:
                self.send_header("Content-Length", str(len(raw)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(raw)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        logger.debug(format, *args)

    def version_string(self) -> str:
        return "slipway-machine"


def client_gone() -> bool:
    """Whether the client of the request that this thread serves has closed its end: a provider that was killed.

    What it asked for would come up when nobody records it any more. False in threads that serve no request.
    """
    connection = getattr(_serving, "connection", None)
    if connection is None:
        return False
    # Asked first, because a socket with a time-out waits for it in spite of MSG_DONTWAIT.
    poll = select.poll()
    try:
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def no_route() -> NotFound:
    return NotFound("There is nothing at this address.", code="machine:no-route")
