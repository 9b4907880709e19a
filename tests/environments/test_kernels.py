"""The idle probe against a server that answers as Jupyter does; the browser journeys use the real one."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from apps.environments.access.contracts import Upstream
from apps.environments.gateway import kernels_ask

SECRET = "probe-secret"


class Jupyter(BaseHTTPRequestHandler):
    kernels: list[dict[str, Any]] = []

    def do_GET(self) -> None:
        allowed = self.headers["Authorization"] == f"token {SECRET}"
        body = json.dumps(self.kernels).encode()
        self.send_response(200 if allowed and self.path == "/api/kernels" else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Jupyter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def upstream(address: str, secret: str = SECRET) -> Upstream:
    return Upstream(environment_id="e1", slug="nb-1", status="running", address=address, secret=secret)


def test_the_kernel_that_computes_longest_counts(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = [
        {"execution_state": "busy", "last_activity": "2026-01-01T10:00:00Z"},
        {"execution_state": "busy", "last_activity": "2026-01-01T09:00:00Z"},
        {"execution_state": "idle", "last_activity": "2026-01-01T08:00:00Z"},
    ]
    monkeypatch.setattr(Jupyter, "kernels", kernels)
    since = kernels_ask([upstream(address)])["e1"]
    assert since is not None
    assert since.isoformat() == "2026-01-01T09:00:00+00:00"


def test_idle_kernels_say_so(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Jupyter, "kernels", [{"execution_state": "idle", "last_activity": "2026-01-01T08:00:00Z"}])
    assert kernels_ask([upstream(address)]) == {"e1": None}


def test_who_does_not_answer_is_left_out(address: str) -> None:
    assert kernels_ask([upstream("127.0.0.1:1"), upstream(address, "wrong")]) == {}
    assert kernels_ask([]) == {}
