"""`/api/v1/runtimes/`: who may do what, and what is answered."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import ApiToken
from apps.runtimes.models import Runtime, RuntimeVersion
from tests.factories import People
from tests.runtimes.asking import token_client
from tests.runtimes.making import LOCK, MakeReady

API = "/api/v1/runtimes/"
WISH = {"slug": "new-one", "title": "New one", "requirements": "six\n"}


def post(client: Client, url: str, body: Any = None, **headers: str) -> Any:
    return client.post(url, body or {}, content_type="application/json", headers=headers)


def test_a_platform_engineer_makes_one_and_the_same_request_twice_makes_it_once(people: People) -> None:
    client = token_client(people.pete)
    first = post(client, API, WISH, **{"Idempotency-Key": "k1"})
    assert first.status_code == 201, first.content
    assert first.json()["name"] == "new-one@1"
    assert first.json()["status"] == "locking"
    assert post(client, API, WISH, **{"Idempotency-Key": "k1"}).json() == first.json()
    assert Runtime.objects.count() == 1
    taken = post(client, API, WISH)
    assert (taken.status_code, taken.json()["code"]) == (409, "runtimes:taken")


@pytest.mark.parametrize("name", ["dana", "mira", "ada", "mallory"])
def test_everybody_reads_and_nobody_else_writes(people: People, ready: MakeReady, name: str) -> None:
    ready()
    client = token_client(getattr(people, name))
    assert client.get(API).json()["results"][0]["latest_version"] == 1
    assert client.get(f"{API}ml/versions/1/").json()["lock"]
    for url in (API, f"{API}ml/versions/", f"{API}ml/versions/1/deprecate/", f"{API}ml/versions/1/retry/"):
        assert post(client, url, {}).status_code == 403, url
    assert client.patch(f"{API}ml/", {"title": "x"}, content_type="application/json").status_code == 403
    assert Client().get(API).status_code == 401
    reader = token_client(people.pete, ApiToken.Scope.READ)
    assert post(reader, API, WISH).status_code == 403


def test_versions_are_listed_without_what_weighs_and_made_from_requirements(people: People, ready: MakeReady) -> None:
    ready()
    client = token_client(people.pete)
    made = post(client, f"{API}ml/versions/", {"requirements": "idna\n"})
    assert (made.status_code, made.json()["number"]) == (201, 2)
    busy = post(client, f"{API}ml/versions/", {"requirements": "attrs\n"})
    assert (busy.status_code, busy.json()["code"]) == (409, "runtimes:busy")
    listed = client.get(f"{API}ml/versions/").json()["results"]
    assert [row["number"] for row in listed] == [2, 1]
    assert "lock" not in listed[0]
    assert [row["number"] for row in client.get(f"{API}ml/versions/?status=ready").json()["results"]] == [1]


def test_wrong_requirements_name_line_and_field(people: People, ready: MakeReady) -> None:
    ready()
    answer = post(token_client(people.pete), f"{API}ml/versions/", {"requirements": "six\n--index-url http://x\n"})
    assert answer.status_code == 400
    assert answer.json()["errors"]["requirements"][0].startswith("Line 2: “--index-url” is not possible here")


def test_actions_of_a_version(people: People, ready: MakeReady, failed: RuntimeVersion) -> None:
    ready()
    client = token_client(people.pete)
    gone = post(client, f"{API}ml/versions/1/deprecate/", {"reason": "Old"})
    assert (gone.status_code, gone.json()["status"], gone.json()["reason"]) == (200, "deprecated", "Old")
    assert post(client, f"{API}ml/versions/1/restore/").json()["status"] == "ready"
    again = post(client, f"{API}broken/versions/1/retry/")
    assert again.json()["status"] == "locking"
    wrong = post(client, f"{API}ml/versions/1/retry/")
    assert (wrong.status_code, wrong.json()["code"]) == (409, "runtimes:wrong-status")


def test_the_difference_of_two_versions(people: People, ready: MakeReady) -> None:
    ready(lock=LOCK)
    ready(lock=LOCK.replace("idna==3.10", "idna==3.11").replace("six==1.17.0", "attrs==25.1"))
    client = token_client(people.dana)
    expected = {
        "added": [{"name": "attrs", "version": "25.1"}],
        "removed": [{"name": "six", "version": "1.17.0"}],
        "changed": [{"name": "idna", "before": "3.10", "version": "3.11"}],
    }
    assert client.get(f"{API}ml/versions/2/difference/").json() == expected
    assert client.get(f"{API}ml/versions/2/difference/?from=1").json() == expected
    assert client.get(f"{API}ml/versions/1/difference/").json() == {"added": [], "removed": [], "changed": []}
    for bad in ("9", "x", "²", "1" * 30):
        assert client.get(f"{API}ml/versions/2/difference/?from={bad}").status_code == 400, bad


@pytest.mark.parametrize(
    "url", ["nothing/", "nothing/versions/", "ml/versions/9/", "ml/versions/x/", "nothing/versions/1/"]
)
def test_what_is_not_there(people: People, ready: MakeReady, url: str) -> None:
    ready()
    assert token_client(people.pete).get(f"{API}{url}").status_code == 404
