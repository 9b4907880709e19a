"""Asks at every door as everybody, and writes what was answered as one table."""

import difflib
import json
import os
import re
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.db import connection, reset_queries, transaction
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from tests.doors.routes import Route, routes
from tests.doors.scene import BODIES, QUERIES, Scene, values_for

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "doors.md"
TOKENS = (
    "read token",
    "MLflow token",
    "environment token",
    "expired token",
    "revoked token",
    "token of a switched-off person",
)
PERSONS = ("stranger", "teammate", "owner", "manager", "platform engineer", "auditor")
FORGED = "owner, no CSRF token"
OWNERS = "owner's token"
COLUMNS = ("anonymous", *PERSONS, FORGED, *TOKENS)
# A token that opens everything at the API opens no page, so that one stands for all.
PAGE_COLUMNS = ("anonymous", *PERSONS, FORGED, OWNERS)
# The tables tell platform engineers from everybody else.
ADMIN_COLUMNS = ("anonymous", "manager", "platform engineer", "auditor", OWNERS)
WRITE = re.compile(
    r'^\s*(INSERT INTO|UPDATE|DELETE FROM)\s+"(?!django_session|accounts_apitoken|core_idempotencykey)', re.IGNORECASE
)


@dataclass(frozen=True)
class Answer:
    outcome: str
    writes: int


class Visitors:
    """Signed-in browsers and tokens; each request is undone after it was answered."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._cookies = {name: self._sign_in(user) for name, user in scene.persons.items()}
        self._paths: dict[Route, str] = {}

    def _sign_in(self, user: User) -> str:
        client = Client()
        client.force_login(user)
        return client.cookies[settings.SESSION_COOKIE_NAME].value

    def by_session(self, name: str, *, csrf: bool = True) -> tuple[Client, dict[str, str]]:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        client.cookies = SimpleCookie()
        headers = {}
        if name:
            client.cookies[settings.SESSION_COOKIE_NAME] = self._cookies[name]
        if csrf:
            token = _get_new_csrf_string()
            client.cookies[settings.CSRF_COOKIE_NAME] = token
            headers["X-CSRFToken"] = token
        return client, headers

    def by_token(self, name: str) -> tuple[Client, dict[str, str]]:
        client = Client(enforce_csrf_checks=True, raise_request_exception=False)
        return client, {"Authorization": f"Bearer {self.scene.secrets[name]}"}

    def _path(self, route: Route) -> str:
        if route not in self._paths:
            self._paths[route] = route.path(values_for(self.scene, route)) + QUERIES.get(route.template, "")
        return self._paths[route]

    def ask(self, visitor: tuple[Client, dict[str, str]], method: str, route: Route, body: Any) -> Answer:
        client, headers = visitor
        path = self._path(route)
        kind = {"content_type": "application/json"} if route.is_api else {}
        with transaction.atomic():
            # Else the log fills up over the whole walk, and what is asked last is no longer in it.
            reset_queries()
            with CaptureQueriesContext(connection) as captured:
                if method == "GET":
                    response = client.get(path, headers=headers)
                elif route.is_api:
                    response = client.generic(method, path, _json(body), headers=headers, **kind)
                else:
                    response = client.generic(method, path, _form(body), FORM, headers=headers)
            writes = sum(1 for query in captured if WRITE.match(query["sql"]))
            transaction.set_rollback(True)
        return Answer(outcome(response), writes)

    def ask_as(self, column: str, method: str, route: Route, body: Any) -> Answer:
        """The answer in one column; at the API a session with its CSRF token and a token must be told the same."""
        if column == FORGED:
            return self.ask(self.by_session("owner", csrf=False), method, route, body)
        if column == OWNERS:
            return self.ask(self.by_token("owner"), method, route, body)
        if column in TOKENS:
            return self.ask(self.by_token(column), method, route, body)
        by_session = self.ask(self.by_session("" if column == "anonymous" else column), method, route, body)
        if column == "anonymous" or not route.is_api:
            return by_session
        by_token = self.ask(self.by_token(column), method, route, body)
        if by_session.outcome != by_token.outcome:
            return Answer(f"{by_session.outcome} by session, {by_token.outcome} by token", by_token.writes)
        return by_token


def columns_of(template: str) -> tuple[str, ...]:
    if template.startswith("/admin/"):
        return ADMIN_COLUMNS
    return COLUMNS if template.startswith("/api/v1/") else PAGE_COLUMNS


FORM = "application/x-www-form-urlencoded"


def _json(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body)


def _form(body: Any) -> str:
    return body if isinstance(body, str) else urlencode(body)


def outcome(response: Any) -> str:
    location = response.headers.get("Location", "")
    if response.status_code == 302 and location.startswith("/accounts/sign-in/?next="):
        return "sign-in"
    return str(response.status_code)


Table = dict[tuple[str, str], dict[str, Answer]]


def table_make(scene: Scene) -> Table:
    """{(template, method): {column: answer}} of every address and method that answers somebody."""
    visitors, table = Visitors(scene), {}
    for route in routes():
        for method in route.methods:
            body = BODIES.get(route.template, {})
            columns = columns_of(route.template)
            told = {name: visitors.ask_as(name, method, route, body) for name in PERSONS if name in columns}
            if any(answer.outcome != "405" for answer in told.values()):
                table[route.template, method] = {
                    name: told.get(name) or visitors.ask_as(name, method, route, body) for name in columns
                }
    return table


HEAD = """# Doors

Every address of the portal, by method, and what it answers to whom. Generated from the URL resolver and checked by
`tests/doors`: a new address without a row, or an answer that changed, fails the suite. Write it anew with

    SLIPWAY_WRITE_DOORS=1 make test ARGS="tests/doors"

The object behind each address is dana's (the *owner*), in a team with a *teammate* and a *manager*; the *stranger* is
in another team. At the API every person asks twice, by a session with its CSRF token and by a token that may write, and
is told the same. Each body sent is a valid one. `sign-in` is the way to the sign-in page; 404 is also the answer for
what exists and is not shared; a 409 or 422 of somebody who may is about the state of the object or about what was sent.
MLflow is not there: what has to ask it answers 503 to whoever may.
A method that answers 405 to everybody has no row.
"""
SHORT = {
    "platform engineer": "platform",
    FORGED: "no CSRF",
    "read token": "read",
    "MLflow token": "MLflow",
    "environment token": "environment",
    "expired token": "expired",
    "revoked token": "revoked",
    "token of a switched-off person": "switched off",
}
PARTS = (
    ("Pages", lambda path: not path.startswith(("/api/v1/", "/admin/"))),
    ("API", lambda path: path.startswith("/api/v1/")),
    ("Tables of platform engineers", lambda path: path.startswith("/admin/")),
)


BEFORE = "\n## Doors before Django\n"


def render(table: Table) -> str:
    """The document as far as Django answers."""
    text = HEAD
    for title, belongs in PARTS:
        columns = columns_of(next(path for path, _ in table if belongs(path)))
        heading = "| Address | Method | " + " | ".join(SHORT.get(name, name) for name in columns) + " |"
        rule = "|---|---|" + "---|" * len(columns)
        rows = [
            f"| `{path}` | {method} | " + " | ".join(row[name].outcome for name in columns) + " |"
            for (path, method), row in sorted(table.items())
            if belongs(path)
        ]
        text += "\n".join(["", f"## {title}", "", heading, rule, *rows, ""])
    return text


def render_before(doors: dict[str, dict[str, str]]) -> str:
    """The rest of it: `{door: {visitor: outcome}}`."""
    names = list(dict.fromkeys(name for row in doors.values() for name in row))
    rows = [f"| {door} | " + " | ".join(row.get(name, "") for name in names) + " |" for door, row in doors.items()]
    heading = "| Door | " + " | ".join(SHORT.get(name, name) for name in names) + " |"
    return "\n".join([BEFORE, heading, "|---|" + "---|" * len(names), *rows, ""])


def document_check(now: str, *, before_django: bool) -> str:
    """The difference between one part of the document and what it should be; SLIPWAY_WRITE_DOORS=1 writes it anew."""
    kept = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    first, _, second = kept.partition(BEFORE)
    if os.environ.get("SLIPWAY_WRITE_DOORS"):
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(first + now if before_django else now + BEFORE + second)
        return ""
    there = BEFORE + second if before_django else first
    lines = difflib.unified_diff(there.splitlines(), now.splitlines(), "docs/reference/doors.md", "now", n=0)
    return "\n".join(list(lines)[:60])
