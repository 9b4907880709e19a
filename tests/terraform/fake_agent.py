"""A small stand-in for the machine agent's socket API, held to the same tests as the real one (see conftest.py)."""

import hashlib
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

WORKSPACE = "11111111-2222-3333-4444-555555555555"


class FakeAgent(ThreadingMixIn, UnixStreamServer):
    """Keeps volumes, runtimes and services of one environment in memory; `delay_s` makes every PUT slow.

    A service whose command holds "crash" never becomes healthy.
    """

    daemon_threads = True

    def __init__(self, socket_path: Path, token: str = f"{WORKSPACE}.token"):
        self.socket_path = socket_path
        self.token = token
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[tuple[str, str]] = []
        self.delay_s = 0.0
        super().__init__(str(socket_path), _Handler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("local", 0)

    def close(self) -> None:
        self.shutdown()
        self.thread.join()
        self.server_close()
        self.socket_path.unlink(missing_ok=True)

    def crash_service(self, name: str) -> None:
        self.objects["services", name] |= {"status": "crashed", "running": False}

    def vanish(self, collection: str, name: str) -> None:
        del self.objects[collection, name]

    def names(self, collection: str) -> list[str]:
        return sorted(name for kind, name in self.objects if kind == collection)

    def put(self, collection: str, name: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        time.sleep(self.delay_s)
        if collection == "runtimes":
            name = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        old = self.objects.get((collection, name))
        found = getattr(self, f"_{collection[:-1]}")(name, body, old)
        self.objects[collection, name] = found
        if collection == "services" and body.get("running", True) and "crash" in " ".join(body["command"]):
            found |= {"status": "crashed"}
            return 422, {
                "title": "It ended before it was ready",
                "detail": "The process ended with exit code 3.",
                "status": 422,
                "code": "machine:service-exited",
                "log": ["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'nonsense'"],
            }
        return (200 if old else 201), found

    def _volume(self, name: str, body: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        return old or {"id": f"{WORKSPACE}/{name}", "name": name, "path": f"/volumes/{name}", "used_bytes": 0}

    def _runtime(self, name: str, body: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        python = body.get("python", "3.11")
        return {"id": name, "path": f"/runtimes/{name}", "python": f"{python}.7", "reused": old is not None}

    def _service(self, name: str, body: dict[str, Any], old: dict[str, Any] | None) -> dict[str, Any]:
        running = body.get("running", True)
        port = 20000 + len(self.calls) if running else None
        return {
            "id": f"{WORKSPACE}/{name}",
            "name": name,
            "running": running,
            "status": "running" if running else "stopped",
            "port": port,
            "address": f"127.0.0.1:{port}" if running else None,
            "secret": old["secret"] if old else "fake-service-secret-" + os.urandom(8).hex(),
            "isolation": "none",
            "restarts": 0,
        }


class _Handler(BaseHTTPRequestHandler):
    server: FakeAgent
    protocol_version = "HTTP/1.1"

    def _route(self) -> None:
        agent = self.server
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        if self.headers.get("Authorization") != f"Bearer {agent.token}":
            return self._send(
                401, {"title": "Unknown token", "detail": "This token opens no environment.", "status": 401}
            )
        _, _, collection, *rest = self.path.split("/")
        name = rest[0] if rest else ""
        agent.calls.append((self.command, self.path))
        if self.command == "PUT":
            return self._send(*agent.put(collection, name, body))
        found = agent.objects.get((collection, name))
        if self.command == "DELETE":
            agent.objects.pop((collection, name), None)
            return self._send(204, None)
        if found is None:
            return self._send(404, {"title": "Not found", "status": 404})
        return self._send(200, found)

    do_GET = do_PUT = do_DELETE = _route  # noqa: N815

    def _send(self, status: int, answer: dict[str, Any] | None) -> None:
        content = b"" if answer is None else json.dumps(answer).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except (TimeoutError, BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""
