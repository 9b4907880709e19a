"""People at the portal's door, over plain HTTP: every answer is kept, with whom it was for."""

import contextlib
import http.client
import json
import re
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass(frozen=True)
class Answer:
    who: str
    method: str
    host: str
    path: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def whole(self) -> bytes:
        """All that a page, a proxy or a log could hold of it: the cookies it sets are the browser's own."""
        told = [f"{name}: {value}" for name, value in self.headers if name.lower() != "set-cookie"]
        return "\n".join(told).encode() + b"\n\n" + self.body

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.method} {self.host.partition('.')[0]}{self.path[:90]} for {self.who}: {self.status}"


@dataclass
class Visitor:
    """A browser without a page: it keeps cookies by host and follows nothing by itself."""

    who: str
    port: int
    seen: list[Answer]
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, body: bytes | None = None, *, host: str = "", **headers: str) -> Answer:
        host = host or f"localhost:{self.port}"
        jar = self.cookies.setdefault(host, {})
        sent = {"Host": host, "Accept": "text/html", **{n.replace("_", "-"): v for n, v in headers.items()}}
        if jar:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if self.token:
            sent |= {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            answer = Answer(self.who, method, host, path, response.status, response.getheaders(), response.read())
        finally:
            connection.close()
        for name, value in answer.headers:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                jar[key] = rest.partition(";")[0]
        self.seen.append(answer)
        return answer

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        return self.ask(method, f"/api/v1/{path}", content, **{"Content-Type": "application/json", **headers})

    def form(self, path: str, **fields: str) -> Answer:
        jar = self.cookies.get(f"localhost:{self.port}", {})
        fields = {"csrfmiddlewaretoken": jar.get("slipway_csrf", ""), **fields}
        return self.ask(
            "POST", path, urlencode(fields).encode(), **{"Content-Type": "application/x-www-form-urlencoded"}
        )

    def sign_in(self, username: str, password: str) -> Answer:
        self.get("/accounts/sign-in/")
        return self.form("/accounts/sign-in/", username=username, password=password)

    def hidden_field(self, answer: Answer, name: str) -> str:
        found = re.search(rf'name="{name}"[^>]*value="([^"]*)"'.encode(), answer.body)
        return found[1].decode() if found else ""

    def open_application(self, slug: str, path: str) -> tuple[Answer, list[str]]:
        """Through the ticket to a page of an application; the last answer, and the tickets on the way."""
        host, portal = f"{slug}.apps.localhost:{self.port}", f"localhost:{self.port}"
        where, at, tickets = path, host, []
        for _ in range(6):
            answer = self.get(where, host=at, **{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "none"})
            if answer.status not in (302, 303):
                break
            target = urlsplit(answer.header("Location"))
            at = target.netloc or at
            assert at in (host, portal), answer
            where = target.path + (f"?{target.query}" if target.query else "")
            tickets += re.findall(r"(?:^|[?&])t=([^&]+)", target.query)
        return answer, tickets


class Stream:
    """A listener to `/events/` for as long as the journey lasts; what came is one more answer."""

    def __init__(self, visitor: Visitor, topics: str) -> None:
        jar = visitor.cookies[f"localhost:{visitor.port}"]
        cookies = "; ".join(f"{name}={value}" for name, value in jar.items())
        self.visitor = visitor
        self.content = bytearray()
        self.connection = http.client.HTTPConnection("127.0.0.1", visitor.port, timeout=60)
        self.connection.request("GET", f"/events/?topics={topics}", headers={"Cookie": cookies})
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        # Closed from the other thread, at whatever point it is.
        with contextlib.suppress(OSError, ValueError, AttributeError, http.client.HTTPException):
            while block := self.response.read1(65536):
                self.content += block

    def end(self) -> None:
        self.response.close()
        self.connection.close()
        self.visitor.seen.append(Answer(self.visitor.who, "GET", "", "/events/", 200, [], bytes(self.content)))
