"""A small real server for the browser tests of live pages: the shell, static files, a stream, a fragment, a log."""

import json
import mimetypes
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from django.contrib.staticfiles import finders
from django.template import engines

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'"
)
PAGE = """{% extends "base.html" %}
{% block title %}Live{% endblock %}{% block heading %}Live{% endblock %}
{% block content %}
  {% include "components/log.html" %}
  {{ part }}
{% endblock %}"""
PART = (
    '<section id="part" data-live-topic="environment:1" data-live-fragment="/part">'
    '<details id="more"><summary>More</summary>x</details>'
    '<label for="typing">Note</label><input id="typing"><p id="count">{count}</p></section>'
)


class LivePage:
    """Events are appended by `emit`; `streams` holds (topics, Last-Event-ID) of every stream that was opened."""

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []
        self.streams: list[tuple[str, str | None]] = []
        self.open_streams = 0
        self.lines = 0
        self.fragments = 0
        self.changed = threading.Condition()
        self.generation = 0
        self.after_render: Callable[[], None] = lambda: None
        page = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                page.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.drop_streams()
        self.server.shutdown()
        self.server.server_close()

    def emit(self, topic: str, kind: str, **data: object) -> None:
        with self.changed:
            self.events.append({"topic": topic, "kind": kind, "data": data})
            self.changed.notify_all()

    def log(self, *numbers: int) -> None:
        """An event with these lines; the store of lines knows everything up to the last."""
        self.lines = max(self.lines, *numbers)
        self.emit("environment:1", "log", stream="build", lines=[self._line(n) for n in numbers])

    def drop_streams(self) -> None:
        """Cut every stream, as a proxy or a restart does."""
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    @staticmethod
    def _line(n: int) -> dict[str, object]:
        return {"n": n, "at": datetime.now(UTC).isoformat(), "level": "info", "text": f"line {n}"}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        address = urlsplit(request.path)
        query = parse_qs(address.query)
        if address.path == "/events/":
            self._stream(request, query["topics"][0])
        elif address.path == "/page":
            made = self._page()
            self.after_render()
            self._send(request, made.encode(), "text/html; charset=utf-8")
        elif address.path == "/part":
            self.fragments += 1
            self._send(request, PART.format(count=self.fragments).encode(), "text/html; charset=utf-8")
        elif address.path == "/lines":
            lines = [self._line(n) for n in range(int(query["after"][0]) + 1, self.lines + 1)]
            self._send(request, json.dumps({"lines": lines}).encode(), "application/json")
        elif found := finders.find(address.path.removeprefix("/static/")):
            with open(found, "rb") as file:
                self._send(request, file.read(), mimetypes.guess_type(found)[0] or "application/octet-stream")
        else:
            self._send(request, b"", "text/plain", 404)

    def _page(self) -> str:
        log = {
            "id": "build", "title": "Build", "topic": "environment:1", "stream": "build", "lines_url": "/lines",
            "lines": [{**self._line(n), "at": datetime.now(UTC)} for n in range(1, self.lines + 1)],
        }  # fmt: skip
        shell = {"since": len(self.events), "topics": "user:1", "inbox_url": "/inbox", "shortcuts": True}
        template = engines["django"].from_string(PAGE.replace("{{ part }}", PART.format(count=self.fragments)))
        nav = [{"label": "Home", "url": "/page", "icon": "home", "shortcut": "h"}]
        return template.render({"log": log, "shell": shell, "nav": nav})

    def _send(self, request: BaseHTTPRequestHandler, body: bytes, kind: str, status: int = 200) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(body)))
        request.send_header("Content-Security-Policy", POLICY)
        request.end_headers()
        request.wfile.write(body)

    def _stream(self, request: BaseHTTPRequestHandler, topics: str) -> None:
        last = request.headers.get("Last-Event-ID")
        self.streams.append((topics, last))
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.send_header("Connection", "close")
        request.end_headers()
        request.close_connection = True
        position, mine = int(last or len(self.events)), self.generation
        self.open_streams += 1
        try:
            while True:
                with self.changed:
                    self.changed.wait_for(lambda seen=position: len(self.events) > seen or self.generation != mine, 1)
                    fresh = list(enumerate(self.events[position:], position + 1))
                    position = len(self.events)
                if self.generation != mine:
                    return
                frames = [
                    f"id: {n}\nevent: message\ndata: {json.dumps(e)}\n\n" for n, e in fresh if e["topic"] in topics
                ]
                request.wfile.write(("".join(frames) or ": still here\n\n").encode())
                request.wfile.flush()
        except OSError:
            return
        finally:
            self.open_streams -= 1
