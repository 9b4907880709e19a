"""What every resource of the API shares: pages, order, problems, keys of writes."""

import importlib
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from apps.accounts.models import Membership, Team, User
from apps.accounts.services import token_create
from apps.core.api.schema import PROBLEM
from apps.core.exceptions import UserError
from apps.core.models import IdempotencyKey
from tests.cast import Cast, bearer, browser, cast_make

TEAMS = "/api/v1/teams/"


def secret_of(user: User, scope: str = "write") -> str:
    return token_create(user=user, name="t", scopes=[scope], expires_at=timezone.now() + timedelta(days=1))[1]


@pytest.fixture
def many_teams(cast: Cast) -> Cast:
    Team.objects.bulk_create(Team(slug=f"t{number:02}", name=f"Team {number % 5}") for number in range(23))
    return cast


def walk(client: Any, url: str) -> tuple[list[str], list[str]]:
    """Slugs read forwards by `next`, and backwards by `previous` from the last page."""
    forwards: list[str] = []
    page = client.get(url).json()
    while True:
        forwards += [row["slug"] for row in page["results"]]
        if not page["next"]:
            break
        page = client.get(page["next"]).json()
    backwards: list[str] = []
    while True:
        backwards = [row["slug"] for row in page["results"]] + backwards
        if not page["previous"]:
            return forwards, backwards
        page = client.get(page["previous"]).json()


@pytest.mark.parametrize("ordering", ["name", "-name", "slug", "-created_at", "name,-slug"])
@pytest.mark.parametrize("size", [1, 4, 25])
def test_pages_hold_every_row_once_in_both_directions(many_teams: Cast, ordering: str, size: int) -> None:
    forwards, backwards = walk(browser(many_teams.pete), f"{TEAMS}?ordering={ordering}&page_size={size}")
    assert len(forwards) == len(set(forwards)) == 26
    assert forwards == backwards


def test_nulls_sort_last_and_are_paged_too(many_teams: Cast) -> None:
    from apps.core.paging import page_of
    from apps.notifications.models import Notification

    now = timezone.now()
    for number in range(9):
        read_at = now + timedelta(minutes=number) if number % 3 else None
        Notification.objects.create(user=many_teams.dana, text=str(number), read_at=read_at)
    for order in ("read_at", "-read_at"):
        rows = Notification.objects.order_by(order)
        seen, cursor = [], ""
        while True:
            page = page_of(rows, cursor=cursor, size=2)
            seen += [row.read_at for row in page.rows]
            if not page.next:
                break
            cursor = page.next
        assert len(seen) == 9
        assert seen[6:] == [None] * 3
        assert seen[:6] == sorted(seen[:6], reverse=order.startswith("-"))
        back = page_of(rows, cursor=page.previous or "", size=20)
        assert [row.read_at for row in back.rows] == seen[:8]


def test_count_is_exact_or_null_on_request(many_teams: Cast) -> None:
    client = browser(many_teams.pete)
    assert client.get(TEAMS).json()["count"] == 26
    assert client.get(f"{TEAMS}?count=false").json()["count"] is None
    assert client.get("/api/v1/audit/").json()["count"] is None


def test_rows_added_meanwhile_move_no_page(many_teams: Cast) -> None:
    client = browser(many_teams.pete)
    first = client.get(f"{TEAMS}?ordering=slug&page_size=5").json()
    Team.objects.create(slug="a-new-one", name="New")
    second = client.get(first["next"]).json()
    assert not {row["slug"] for row in first["results"]} & {row["slug"] for row in second["results"]}


BAD = ("cursor=x", "cursor=eyJv:abc:def", "cursor=%F0%9F%99%82", f"cursor={'x' * 9000}", "page_size=0", "page_size=-1",
       "page_size=abc", "page_size=²", "ordering=password", "ordering=memberships__user__password", "ordering=role",
       "ordering=%00", "cursor=%00")  # fmt: skip


@pytest.mark.parametrize("query", BAD)
def test_a_query_that_means_nothing_is_a_problem_not_a_bug(cast: Cast, query: str) -> None:
    answer = browser(cast.pete).get(f"{TEAMS}?{query}")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert ":" in answer.json()["code"]


def test_a_cursor_of_another_order_is_refused(many_teams: Cast) -> None:
    client = browser(many_teams.pete)
    cursor = client.get(f"{TEAMS}?ordering=slug&page_size=5").json()["next"].split("cursor=")[1].split("&")[0]
    assert client.get(f"{TEAMS}?ordering=name&cursor={cursor}").json()["code"] == "core:bad-cursor"


def test_a_page_is_bounded(many_teams: Cast) -> None:
    assert browser(many_teams.pete).get(f"{TEAMS}?page_size=99999999999999999999").status_code == 200


def test_strangers_find_nothing_and_members_change_nothing(cast: Cast) -> None:
    assert browser(cast.mallory).get(f"{TEAMS}vision/").json()["code"] == "core:not-found"
    assert [row["slug"] for row in browser(cast.dana).get(TEAMS).json()["results"]] == ["churn", "vision"]
    body = {"person": "mallory"}
    refused = browser(None).post(f"{TEAMS}vision/members/", body, "application/json", **bearer(secret_of(cast.dana)))
    assert (refused.status_code, refused.json()["code"]) == (403, "core:forbidden")
    hidden = browser(None).post(f"{TEAMS}vision/members/", body, "application/json", **bearer(secret_of(cast.mallory)))
    assert hidden.status_code == 404


def test_users_are_oneself_and_ones_teams(cast: Cast) -> None:
    def names(user: User) -> set[str]:
        return {row["username"] for row in browser(user).get("/api/v1/users/").json()["results"]}

    assert names(cast.dana) == {"dana", "mira"}
    assert names(cast.ada) == {"dana", "mira", "pete", "ada", "mallory"}
    assert browser(cast.dana).get("/api/v1/users/mallory/").status_code == 404
    assert browser(cast.dana).get("/api/v1/me/").json()["teams"] == [
        {"slug": "churn", "name": "Churn", "role": "member"},
        {"slug": "vision", "name": "Vision", "role": "member"},
    ]


def test_fields_in_error_are_named(cast: Cast) -> None:
    headers = bearer(secret_of(cast.mira))
    answer = browser(None).post(f"{TEAMS}vision/members/", {"role": "king"}, "application/json", **headers)
    body = answer.json()
    assert (answer.status_code, body["code"], set(body["errors"])) == (400, "core:invalid", {"person", "role"})
    broken = browser(None).post(f"{TEAMS}vision/members/", "{", "application/json", **headers)
    assert (broken.status_code, broken.json()["code"]) == (400, "core:malformed")
    form = browser(None).post(f"{TEAMS}vision/members/", {"person": "x"}, **headers)
    assert (form.status_code, form.json()["code"]) == (415, "core:unsupported-media-type")


def add(user_secret: str, key: str, person: str = "mallory") -> Any:
    return browser(None).post(
        f"{TEAMS}vision/members/",
        {"person": person},
        "application/json",
        **bearer(user_secret),
        HTTP_IDEMPOTENCY_KEY=key,
    )


def test_the_same_key_is_answered_the_same_again(cast: Cast) -> None:
    secret = secret_of(cast.mira)
    first, again = add(secret, "k1"), add(secret, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    assert add(secret, "k2").status_code == 409


def test_a_key_used_for_something_else_is_refused(cast: Cast) -> None:
    secret = secret_of(cast.mira)
    add(secret, "k1")
    other = add(secret, "k1", person="ada")
    assert (other.status_code, other.json()["code"]) == (422, "core:idempotency-key-reused")


def test_keys_of_different_people_are_different_keys(cast: Cast) -> None:
    add(secret_of(cast.mira), "k1")
    assert add(secret_of(cast.pete), "k1").status_code == 409, "carried out, and refused by the team"


def test_a_failed_write_may_be_tried_again_with_its_key(cast: Cast) -> None:
    secret = secret_of(cast.mira)
    assert add(secret, "k1", person="zoe").status_code == 400
    assert not IdempotencyKey.objects.exists()
    User.objects.create_user("zoe")
    assert add(secret, "k1", person="zoe").status_code == 201


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "a b", "é"])
def test_a_key_that_cannot_be_is_refused(cast: Cast, key: str) -> None:
    answer = add(secret_of(cast.mira), key)
    assert (answer.status_code, answer.json()["code"]) == (400, "core:idempotency-key-invalid")


@pytest.mark.django_db(transaction=True)
def test_the_same_request_sent_at_once_is_carried_out_once() -> None:
    cast = cast_make()
    secret, answers = secret_of(cast.mira), []
    barrier = threading.Barrier(4)

    def send() -> None:
        barrier.wait()
        answers.append(add(secret, "race"))
        connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 3
    assert Membership.objects.filter(user=cast.mallory, team=cast.vision).count() == 1


def test_too_many_calls_say_when_to_come_back(cast: Cast, settings: Any) -> None:
    rates = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "user": "2/day"}
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}
    client = browser(cast.dana)
    answers = [client.get(TEAMS) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[-1].json()["code"], int(answers[-1]["Retry-After"]) > 0) == ("core:throttled", True)


def test_the_schema_is_whole(cast: Cast) -> None:
    answer = browser(cast.dana).get("/api/schema/?format=json")
    assert answer.status_code == 200
    paths = answer.json()["paths"]
    assert {"/api/v1/teams/", "/api/v1/teams/{slug}/members/", "/api/v1/users/", "/api/v1/me/"} <= set(paths)
    listed = paths["/api/v1/teams/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"]
    schema = answer.json()["components"]["schemas"][listed.rsplit("/", 1)[1]]
    assert set(schema["properties"]) == {"results", "next", "previous", "count"}


def test_the_schema_allows_every_code_of_the_portal() -> None:
    def kinds(base: type[UserError]) -> Iterator[type[UserError]]:
        for kind in base.__subclasses__():
            yield kind
            yield from kinds(kind)

    importlib.import_module("portal.urls")  # and by it whatever answers
    pattern = PROBLEM["properties"]["code"]["pattern"]
    assert [kind.code for kind in kinds(UserError) if not re.fullmatch(pattern, kind.code)] == []
