"""HTTP/1.1 with JSON over the agent's unix socket; the standard library only."""

import http.client
import json
import socket
from typing import Any
from urllib.parse import quote

CONNECT_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
LAST_LINES = 30


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

    def __init__(self, socket_path: str, token: str):
        self.socket_path = socket_path
        self._token = token

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
        connection = _UnixConnection(self.socket_path, timeout)
        target = "/v1/" + "/".join(quote(part, safe="") for part in path)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", "Connection": "close"}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, target, body=payload, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            raise AgentUnreachable(
                "The machine agent did not answer in time",
                f"{method} {target} took longer than {timeout:.0f} s. What it began may still complete: try again.",
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise AgentUnreachable(
                "The machine agent cannot be reached",
                f"{method} {target} on {self.socket_path}: {error or type(error).__name__}. "
                "Is the agent running, and may this user open its socket?",
            ) from None
        finally:
            connection.close()
        return _answer(response.status, content)


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
