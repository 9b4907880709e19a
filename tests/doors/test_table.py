"""The table of doors: what each answers to whom, and the laws that hold for all of them."""

import re
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.doors.routes import Route, routes
from tests.doors.scene import Scene, values_for
from tests.doors.table import FORGED, OWNERS, TOKENS, Table, Visitors, document_check, render
from tests.doors.tracking import is_away

# The first test that wants the table waits for all of its requests.
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]
# Answered to everybody; each is a decision.
OPEN = {"/healthz", "/readyz", "/metrics", "/accounts/sign-in/", "/accounts/sign-out/", "/api/docs/", "/api/schema/"}
OPEN |= {"/mlflow/"}  # says where else to look
OPEN_PREFIXES = ("/accounts/password/{uidb64}/",)
# Objects that are everybody's to see.
SHARED = (
    "/modules/",
    "/environments/launch/",
    "/api/v1/modules/",
    "/accounts/password/",
    "/runtimes/",
    "/api/v1/runtimes/",
    # By a module, which everybody sees; the page itself is refused.
    "/environments/rollouts/new/",
    "/environments/versions/",
    "/policies/inputs/",
)
# A cluster gives out what connects to it; here none answers, which is a 503.
CONNECTION = "/api/v1/environments/{pk}/connection/"
OF_ENVIRONMENTS = {"/api/v1/connections/", CONNECTION}
# What belongs to whoever asks: their account, and how they have laid out their tables.
OWN = ("/accounts/", "/inbox/", "/experiments/baseline/", "/experiments/columns/keep/", "/experiments/views/")
# Signed by the MLflow server, which has no session; without the secret there is no such address.
HOOK = "/experiments/hooks/mlflow/"


def by_template() -> dict[str, Route]:
    return {route.template: route for route in routes()}


def is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_PREFIXES)


def test_the_walk_finds_the_portal_and_every_route_has_an_object(scene: Scene) -> None:
    found = routes()
    assert len(found) > 80
    assert {"/", "/audit/", "/api/v1/environments/{pk}/stop/", "/admin/accounts/user/"} <= set(by_template())
    for route in found:
        values_for(scene, route)


def test_the_api_of_the_schema_is_the_api_of_the_resolver() -> None:
    said = {
        (path, method.upper())
        for path, operations in SchemaGenerator().get_schema(public=True)["paths"].items()
        for method in operations
        if method != "parameters"
    }
    plain = {(re.sub(r"\{\w+\}", "{}", path), method) for path, method in said}
    has = {
        (re.sub(r"\{\w+\}", "{}", route.template), method)
        for route in routes()
        if route.is_api and route.template != "/api/v1/"
        for method in route.methods
    }
    assert plain - {("/api/schema/", "GET")} == has


def test_the_anonymous_are_sent_to_sign_in(table: Table) -> None:
    wrong = {
        key: row["anonymous"].outcome
        for key, row in table.items()
        if not is_open(key[0])
        and key[0] != HOOK
        and row["anonymous"].outcome not in (("401",) if key[0].startswith("/api/v1/") else ("sign-in", "302"))
    }
    assert not wrong


def test_nothing_of_a_team_exists_for_a_stranger(table: Table) -> None:
    wrong = {
        key: row["stranger"].outcome
        for key, row in table.items()
        if "{" in key[0]
        and not key[0].startswith((*SHARED, "/admin/"))
        and row["stranger"].outcome not in ("404", "405")
    }
    assert not wrong


def test_whoever_may_not_is_refused_before_anything_is_read(scene: Scene, table: Table) -> None:
    """A body that cannot be read changes no 404 and no 403: what is wrong with it is told to those who may."""
    visitors, known, wrong = Visitors(scene), by_template(), {}
    for (path, method), row in table.items():
        if method == "GET" or "{" not in path or path.startswith(SHARED):
            continue
        for name in ("stranger", "teammate"):
            if name not in row or row[name].outcome not in ("403", "404"):
                continue
            for body in ("{", '{"role": 7, "seconds": "x", "ttl": {}, "plan_hash": []}'):
                said = visitors.ask_as(name, method, known[path], body).outcome
                if said != row[name].outcome:
                    wrong[path, method, name, body] = (said, row[name].outcome)
    assert not wrong


def test_auditors_and_strangers_change_nothing(table: Table) -> None:
    wrong = {
        (*key, name): (row[name].outcome, row[name].writes)
        for key, row in table.items()
        for name in ("auditor", "stranger")
        if name in row and row[name].writes and not key[0].startswith((*OWN, "/environments/launch/"))
    }
    assert not wrong


def test_reading_changes_nothing_for_anybody(table: Table) -> None:
    wrong = {
        (*key, name): answer.writes
        for key, row in table.items()
        for name, answer in row.items()
        if key[1] == "GET" and answer.writes
    }
    assert not wrong


def test_no_write_without_a_csrf_token(table: Table) -> None:
    wrong = {
        key: row[FORGED].outcome
        for key, row in table.items()
        if FORGED in row and key[1] != "GET" and key[0] != HOOK and row[FORGED].outcome not in ("403", "405")
    }
    assert not wrong


def test_tokens_reach_no_further_than_they_may(table: Table) -> None:
    wrong: dict[Any, str] = {}
    for (path, method), row in table.items():
        for name in TOKENS if path.startswith("/api/v1/") else (OWNERS,):
            said = row[name].outcome
            if name != OWNERS:
                if name == "environment token" and path in OF_ENVIRONMENTS:
                    wanted = {row["owner"].outcome}
                elif name == "read token" and path == CONNECTION:
                    wanted = {"403"}
                elif name == "read token":
                    wanted = {row["owner"].outcome} if method == "GET" else {"403"}
                elif name in ("MLflow token", "environment token"):
                    wanted = {"403"}
                else:
                    wanted = {"401"}
            else:
                wanted = {row["anonymous"].outcome, "403"}  # 403: a form without its CSRF token
            if said not in wanted:
                wrong[path, method, name] = said
    assert not wrong


def test_no_door_breaks(table: Table) -> None:
    wrong = {
        (*key, name): answer.outcome
        for key, row in table.items()
        for name, answer in row.items()
        if answer.outcome.startswith("5")
        and key[0] not in ("/readyz", CONNECTION)
        and not is_away(key[0], answer.outcome)
    }
    assert not wrong


def test_sessions_and_tokens_are_told_the_same(table: Table) -> None:
    assert not {
        (*key, name): answer.outcome
        for key, row in table.items()
        for name, answer in row.items()
        if "by" in answer.outcome
    }


def test_the_document_is_this_table(table: Table) -> None:
    difference = document_check(render(table), before_django=False)
    assert not difference, difference
