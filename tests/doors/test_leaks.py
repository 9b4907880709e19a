"""Lists, searches, filters and errors say nothing of another team: not by a row, a count, a link or an echo."""

from typing import Any

import pytest
from django.db import transaction

from tests.cast import bearer
from tests.doors.routes import routes
from tests.doors.scene import Scene
from tests.doors.table import Visitors
from tests.factories import change_of

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]


def canaries(scene: Scene) -> set[str]:
    """What a stranger could only have from a row they may not see; none of it is in what they ask."""
    found = {row.slug for row in (scene.running, scene.stopped, scene.failed, scene.waiting)}
    found |= {str(row.pk) for row in (scene.stopped, scene.waiting, scene.membership, scene.people.vision)}
    return found | {"dana@example.com", "mira@example.com", str(change_of(scene.waiting).pk), str(scene.event.uid)}


def questions(scene: Scene) -> list[dict[str, str]]:
    return [
        {},
        {"search": "running", "q": "running"},
        {"search": "dana", "q": "dana", "actor": "dana"},
        {"q": "Local", "search": "notebook"},
        {"team": "vision"},
        {"owner": "dana", "requested_by": "dana"},
        {"environment": str(scene.running.pk), "target_id": str(scene.running.pk)},
        {"name": "running", "status": "running"},
        {"ordering": "-created_at", "page_size": "200", "show": "all"},
    ]


def test_a_stranger_learns_nothing_from_any_list(scene: Scene) -> None:
    visitors, secrets, wrong = Visitors(scene), canaries(scene), {}
    lists = [route for route in routes() if not route.names and "GET" in route.methods and route.template != "/readyz"]
    assert len(lists) > 20
    for route in lists:
        for query in questions(scene):
            client, headers = visitors.by_session("stranger")
            with transaction.atomic():
                answer = client.get(route.template, query, headers=headers)
                transaction.set_rollback(True)
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            told = [text for text in secrets if text in body.decode() or text in str(answer.headers)]
            if told:
                wrong[route.template, str(query)] = told
    assert not wrong


def test_the_same_walk_finds_what_a_teammate_may_see(scene: Scene) -> None:
    """So that the walk above can fail."""
    client, headers = Visitors(scene).by_session("teammate")
    assert scene.running.slug in client.get("/api/v1/environments/", headers=headers).content.decode()
    assert "dana@example.com" in client.get("/api/v1/users/", headers=headers).content.decode()


@pytest.mark.parametrize(
    "query", ["team=vision", "owner=dana", "search=running", "name=running", "status=running", "module=local-notebook"]
)
def test_counts_and_filters_answer_alike_for_what_is_hidden_and_what_is_not_there(scene: Scene, query: str) -> None:
    client, headers = Visitors(scene).by_session("stranger")
    name = query.partition("=")[0]
    nothing = {"status": "stopping"}.get(name, "nothing-of-that-name")
    hidden = client.get(f"/api/v1/environments/?{query}", headers=headers).json()
    absent = client.get(f"/api/v1/environments/?{name}={nothing}", headers=headers).json()
    assert hidden == absent == {"results": [], "next": None, "previous": None, "count": 0}


def errors_of(answer: Any) -> Any:
    body = answer.json()
    body.pop("correlation_id")
    return answer.status_code, body


def test_hidden_and_missing_answer_to_the_letter_the_same(scene: Scene) -> None:
    client, _ = Visitors(scene).by_token("stranger")
    secret = bearer(scene.secrets["stranger"])
    missing = "00000000-0000-4000-8000-000000000000"
    for hidden in (f"environments/{scene.running.pk}", f"changes/{change_of(scene.waiting).pk}"):
        absent = f"{hidden.partition('/')[0]}/{missing}"
        first = client.get(f"/api/v1/{hidden}/", **secret)
        second = client.get(f"/api/v1/{absent}/", **secret)
        assert errors_of(first) == errors_of(second)
    wish = {"name": "n", "module": "local-notebook"}
    asked = [
        client.post("/api/v1/environments/", {**wish, "team": team}, "application/json", **secret)
        for team in ("vision", "no-such-team")
    ]
    assert errors_of(asked[0]) == errors_of(asked[1])


def test_members_cannot_ask_who_exists_by_adding_them(scene: Scene) -> None:
    """Only who may add people is told whether a name is somebody's."""
    client, headers = Visitors(scene).by_token("teammate")
    path = "/api/v1/teams/vision/members/"
    said = [
        errors_of(client.post(path, {"person": name}, "application/json", headers=headers))
        for name in ("mallory", "nobody", "mallory@example.com")
    ]
    assert said[0] == said[1] == said[2]
    assert said[0][0] == 403
    page, csrf = Visitors(scene).by_session("teammate")
    for name in ("mallory", "nobody"):
        assert (
            page.post("/accounts/people/vision/add/", {"person": name, "role": "member"}, headers=csrf).status_code
            == 403
        )


def test_a_key_of_another_person_replays_nothing(scene: Scene) -> None:
    path = f"/api/v1/environments/{scene.running.pk}/extend/"
    for name, status in (("owner", 200), ("stranger", 404), ("teammate", 403)):
        client, headers = Visitors(scene).by_token(name)
        answer = client.post(path, {"seconds": 60}, "application/json", headers={**headers, "Idempotency-Key": "k"})
        assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (status, False)
