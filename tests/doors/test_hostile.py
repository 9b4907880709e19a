"""What only an attacker sends: every address takes it as a 4xx or does nothing, none breaks."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import transaction

from tests.cast import PASSWORD
from tests.doors.routes import Route, routes
from tests.doors.scene import BODIES, Scene, values_for
from tests.doors.table import Visitors
from tests.doors.tracking import is_away

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(600)]
FIELDS = (
    "name", "username", "first_name", "email", "person", "manager", "role", "reason", "confirm", "preset", "ttl",
    "team", "token", "seconds", "plan_hash", "next", "path", "theme", "time_zone", "scope", "days", "current", "new",
    "input-cpu", "input-memory_gb", "input-repository", "shown_preset", "q",
)  # fmt: skip
TEXTS = ("a\x00b", "\ud800", "x" * 70_000, "9" * 400, "-1e309", "🙂" * 300, "../../../etc/passwd", "\u202e'\"<script>")
# The same code takes all of them; the long suite asks with each.
SOME_TEXTS = [
    pytest.param(text, id=str(number), marks=() if number in (0, 1) else pytest.mark.matrix)
    for number, text in enumerate(TEXTS)
]
QUERY = ("q", "search", "cursor", "ordering", "status", "team", "owner", "since", "until", "actor", "area",
         "path", "stream", "after", "page_size", "count", "team_id", "environment", "challenge", "open",
         "preset", "ttl")  # fmt: skip


def forms() -> list[Route]:
    return [
        route for route in routes() if "POST" in route.methods and not route.template.startswith(("/api/", "/admin/"))
    ]


@pytest.mark.parametrize("text", SOME_TEXTS)
def test_no_form_breaks(scene: Scene, text: str) -> None:
    visitors, wrong = Visitors(scene), {}
    hostile = dict.fromkeys(FIELDS, text)
    for route in forms():
        valid = BODIES.get(route.template, {})
        bodies = [hostile, *({**valid, name: text} for name in valid)]
        for body in bodies:
            said = visitors.ask(
                visitors.by_session("owner"), "POST", route, urlencode(body, errors="surrogatepass")
            ).outcome
            if said.startswith("5") and not is_away(route.template, said):
                wrong[route.template, str(body)[:200]] = said
    assert not wrong


@pytest.mark.parametrize("text", SOME_TEXTS)
def test_no_query_breaks(scene: Scene, text: str) -> None:
    visitors, wrong = Visitors(scene), {}
    query = urlencode(dict.fromkeys(QUERY, text[:2000]), errors="surrogatepass")
    for route in routes():
        if "GET" not in route.methods or route.template.startswith(("/admin/", "/readyz")):
            continue
        client, headers = visitors.by_session("platform engineer")
        with transaction.atomic():
            path = route.path(values_for(scene, route))
            status = [client.get(f"{path}?{query}", headers=headers).status_code]
            for name in ("q", "cursor", "ordering"):
                one = urlencode({name: text[:2000]}, errors="surrogatepass")
                status.append(client.get(f"{path}?{one}", headers=headers).status_code)
            transaction.set_rollback(True)
        if any(each >= 500 and not is_away(route.template, str(each)) for each in status):
            wrong[route.template] = status
    assert not wrong


BROKEN: tuple[Any, ...] = (
    "[" * 100_000,
    '{"a":' * 5_000 + "1" + "}" * 5_000,
    json.dumps({"inputs": {"cpu": "\ud800"}}),
    '{"name": "a\\u0000b", "team": "vision", "module": "local-notebook"}',
    '{"inputs": {"a\\u0000": 1}}',
    '{"inputs": {"cpu": 1e400}}',
    '{"inputs": {"cpu": NaN}}',
    '{"seconds": ' + "9" * 5_000 + "}",
    '{"seconds": 9223372036854775808}',
    json.dumps({"inputs": {str(number): number for number in range(30_000)}}),
    json.dumps({"inputs": [0] * 30_000}),
    b"\xff\xfe{}",
    "nothing",
    "",
)
TAKEN: tuple[Any, ...] = (
    {"seconds": 9223372036854775807},
    {"seconds": 10**12},
    {"ttl": 10**15},
    {"ttl": "9" * 300 + "h"},
    {"ttl": 1.5e300},
    {"until": "9999-12-31T23:59:59Z"},
    {"until": "0001-01-01T00:00:00+14:00"},
    {"name": "x" * 100_000, "team": "y" * 100_000, "module": "z" * 100_000, "version": "v" * 100_000},
    {"name": "🙂" * 60, "team": "vision", "module": "local-notebook"},
    {"inputs": {"cpu": "x" * 100_000}},
    {"inputs": {"cpu": 9223372036854775807, "memory_gb": -1}},
    {"inputs": {"repository": "https://u:p@h/" + "r" * 50_000}},
    {"inputs": {"cpu": {"a": [1, {"b": None}]}}},
    {"plan_hash": "x" * 65, "reason": "r" * 100_000, "confirm": "c" * 100_000},
    {"person": "x" * 300, "role": ["member"]},
    {"preset": "\u202e", "version": ""},
    [],
    None,
    "text",
    7,
)


# Actions that need no word beside their address.
BODILESS = (
    "/start/", "/refresh/", "/retry/", "/cancel/", "/checks/", "/publish/", "/enable/", "/disable/", "/continue/",
    "/skip/", "/restore/", "/rollouts/{pk}/stop/",
)  # fmt: skip
# The first kinds of broken text in every suite, all of them in the long one.
FEW = 3


def writes() -> list[tuple[Route, str]]:
    return [(route, method) for route in routes() if route.is_api for method in route.methods if method != "GET"]


@pytest.mark.parametrize("who", ["owner", "platform engineer"])
@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n < FEW else [pytest.mark.matrix]) for n in range(len(BROKEN))]
)
def test_json_that_cannot_be_is_refused_everywhere(scene: Scene, number: int, who: str) -> None:
    visitors, wrong = Visitors(scene), {}
    for route, method in writes():
        client, headers = visitors.by_token(who)
        with transaction.atomic():
            answer = client.generic(
                method, route.path(values_for(scene, route)), BROKEN[number], "application/json", headers=headers
            )
            transaction.set_rollback(True)
        wants_body = not route.template.endswith(BODILESS) and method != "DELETE"
        # What a person may not see is not found, and uploads take no JSON at all.
        refused = answer.status_code in (400, 403, 404, 415)
        if is_away(route.template, str(answer.status_code)):
            continue
        if answer.status_code >= 500 or (wants_body and BROKEN[number] and not refused):
            wrong[route.template, method] = (answer.status_code, answer.content[:200])
    assert not wrong


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=[] if n < FEW else [pytest.mark.matrix]) for n in range(len(TAKEN))]
)
def test_values_beyond_reason_break_nothing(scene: Scene, number: int) -> None:
    visitors, wrong = Visitors(scene), {}
    for route, method in writes():
        for body in (
            TAKEN[number],
            {**BODIES.get(route.template, {}), **TAKEN[number]} if isinstance(TAKEN[number], dict) else 0,
        ):
            said = visitors.ask(visitors.by_token("owner"), method, route, body).outcome
            if said.startswith("5") and not is_away(route.template, said):
                wrong[route.template, method] = said
    assert not wrong


def test_a_body_that_is_no_json_is_415_and_a_long_one_413(scene: Scene) -> None:
    visitors = Visitors(scene)
    client, headers = visitors.by_token("owner")
    path = f"/api/v1/environments/{scene.running.pk}/extend/"
    assert client.post(path, {"seconds": "60"}, headers=headers).status_code == 415
    long = '{"reason": "' + "x" * 2_000_001 + '"}'
    answer = client.post(path, long, "application/json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "core:too-large")


def test_too_many_fields_of_a_form_are_refused(scene: Scene) -> None:
    client, headers = Visitors(scene).by_session("owner")
    fields = {f"f{number}": "x" for number in range(1001)}
    assert client.post("/accounts/profile/", fields, headers=headers).status_code == 400
    assert client.post("/accounts/profile/", {"first_name": "x" * 2_000_001}, headers=headers).status_code == 413


def test_a_tampered_cursor_is_refused(scene: Scene) -> None:
    client, headers = Visitors(scene).by_token("owner")
    cursor = (
        client.get("/api/v1/environments/?page_size=1", headers=headers)
        .json()["next"]
        .split("cursor=")[1]
        .split("&")[0]
    )
    assert client.get(f"/api/v1/environments/?cursor={cursor}", headers=headers).status_code == 200
    for wrong in (cursor[:-1] + ("a" if cursor[-1] != "a" else "b"), cursor[5:], "." + cursor, cursor * 2):
        assert client.get(f"/api/v1/environments/?cursor={wrong}", headers=headers).status_code == 400
    assert client.get(f"/api/v1/changes/?cursor={cursor}", headers=headers).status_code in (200, 400)


def test_a_password_of_a_million_letters_costs_no_hashing(scene: Scene) -> None:
    client, headers = Visitors(scene).by_session("")
    answer = client.post("/accounts/sign-in/", {"username": "dana", "password": PASSWORD * 40_000}, headers=headers)
    assert answer.status_code == 422
