"""HTTP/1.1 with JSON over the agent's unix socket; the standard library only."""

import http.client
import json
import socket
import time
from typing import Any
from urllib.parse import quote

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
LAST_LINES = 30
# How long to ask again while nobody answers: an agent that was killed or upgraded is back within seconds. The portal
# sets SLIPWAY_AGENT_PATIENCE_S to more; somebody at a terminal wants to hear of it soon.
PATIENCE_S = 3.0
AGAIN_S = 0.25


class AgentError(Exception):
    """The agent refused or could not do what was asked: `title` for the headline, `str(error)` for the whole story."""

    def __init__(self, title: str, detail: str = "", *, status: int = 0, code: str = "", log: list[str] | None = None):
        super().__init__(detail or title)
        self.title = title
        self.detail = detail
        self.status = status
        self.code = code
        self.log = log or []

    def story(self) -> str:
        """The detail with the last log lines below it, and the agent's code, by which the portal finds words for it."""
        parts = [self.detail or self.title]
        if self.log:
            parts.append("The last lines of its log:\n\n" + "\n".join(f"  {line}" for line in self.log[-LAST_LINES:]))
        if self.code:
            parts.append(f"Code: {self.code}")
        return "\n\n".join(parts)


class AgentUnreachable(AgentError):
    """Nobody answers on the socket."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(CONNECT_TIMEOUT_S)
        self.sock.connect(self._path)
        self.sock.settimeout(self.timeout)


class AgentClient:
    """One environment's view of the agent; the token says which environment. Safe to use from several threads."""

    def __init__(self, socket_path: str, token: str, patience_s: float = PATIENCE_S):
        self.socket_path = socket_path
        self._token = token
        self._patience_s = patience_s

    def get(self, *path: str) -> dict[str, Any] | None:
        """The object, or None where the agent has none (which Terraform plans to create again)."""
        try:
            return self._request("GET", path)
        except AgentError as error:
            if error.status == 404:
                return None
            raise

    def put(self, *path: str, body: dict[str, Any], timeout: float = READ_TIMEOUT_S) -> dict[str, Any]:
        return self._request("PUT", path, body=body, timeout=timeout) or {}

    def delete(self, *path: str) -> None:
        """Absent afterwards; that it was absent before is no error."""
        try:
            self._request("DELETE", path, timeout=300.0)
        except AgentError as error:
            if error.status != 404:
                raise

    def _request(
        self, method: str, path: tuple[str, ...], *, body: dict[str, Any] | None = None, timeout: float = READ_TIMEOUT_S
    ) -> dict[str, Any] | None:
        """One request, made again while nobody answers: the agent may be restarted in the middle of an apply.

        All of them say how something is to be, so that a request whose answer was lost does no harm twice.
        """
        target = "/v1/" + "/".join(quote(part, safe="") for part in path)
        payload = None if body is None else json.dumps(body).encode()
        deadline = time.monotonic() + self._patience_s
        while True:
            begun = time.monotonic()
            try:
                return _answer(*self._exchange(method, target, payload, timeout))
            except TimeoutError:
                raise AgentUnreachable(
                    "The machine agent did not answer in time",
                    f"{method} {target} took longer than {timeout:.0f} s. What it began may still complete: try again.",
                ) from None
            except (OSError, http.client.HTTPException) as error:
                # It was there until a moment ago: its successor gets its time from now on.
                if time.monotonic() - begun > 1.0:
                    deadline = time.monotonic() + self._patience_s
                if time.monotonic() < deadline:
                    time.sleep(AGAIN_S)
                    continue
                raise AgentUnreachable(
                    "The machine agent cannot be reached",
                    f"{method} {target} on {self.socket_path}: {error or type(error).__name__}. "
                    "Is the agent running, and may this user open its socket?",
                ) from None

    def _exchange(self, method: str, target: str, payload: bytes | None, timeout: float) -> tuple[int, bytes]:
        """(status, content) of one try."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", "Connection": "close"}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        connection = _UnixConnection(self.socket_path, timeout)
        try:
            connection.request(method, target, body=payload, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _answer(status: int, content: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(content) if content else None
    except ValueError:
        answer = None
    if 200 <= status < 300:
        return answer if isinstance(answer, dict) else None
    problem = answer if isinstance(answer, dict) else {}
    log = problem.get("log")
    raise AgentError(
        str(problem.get("title") or f"The machine agent answered {status}"),
        str(problem.get("detail") or ""),
        status=status,
        code=str(problem.get("code") or ""),
        log=[str(line) for line in log] if isinstance(log, list) else [],
    )
