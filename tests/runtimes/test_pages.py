"""The pages of Python environments, by role."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.audit.words import words_for
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.words import AUDIT_WORDS
from tests.factories import People, environment_running
from tests.runtimes.making import LOCK, MakeReady

EVERYBODY = ("dana", "mira", "pete", "ada", "mallory")


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_looks_and_platform_engineers_write(
    people: People, ready: MakeReady, as_person: Any, name: str
) -> None:
    ready()
    page, manages = as_person(getattr(people, name)), name == "pete"
    for view, arguments in (("list", []), ("runtime", ["ml"]), ("version", ["ml", 1])):
        shown = page.get(reverse(f"runtimes:{view}", args=arguments))
        assert shown.status_code == 200
        assert (b"Edit requirements" in shown.content or b"New Python environment" in shown.content) == manages
    for view, arguments in (("new", []), ("requirements", ["ml"]), ("describe", ["ml"]), ("deprecate", ["ml", 1])):
        for answer in (page.get(reverse(f"runtimes:{view}", args=arguments)),):
            assert answer.status_code == (200 if manages else 403), view
    if not manages:
        for view in ("deprecate", "restore", "retry"):
            assert page.post(reverse(f"runtimes:{view}", args=["ml", 1])).status_code == 403
        assert page.post(reverse("runtimes:new"), {}).status_code == 403
        assert RuntimeVersion.objects.get().status == "ready"


def test_what_is_not_there_is_404_and_nobody_signs_in_first(people: People, ready: MakeReady, as_person: Any) -> None:
    ready()
    page = as_person(people.pete)
    for url in (
        "/runtimes/nothing/",
        "/runtimes/ml/2/",
        "/runtimes/ml/99999999999999999999/",
        "/runtimes/ml/2/deprecate/",
    ):
        assert page.get(url).status_code == 404, url
    assert as_person().get("/runtimes/").status_code == 302


def test_a_new_one_is_made_from_the_form(people: People, as_person: Any) -> None:
    page = as_person(people.pete)
    filled = {"title": "Forecasts", "slug": "forecasts", "summary": "", "python": "3.11", "requirements": "six\n"}
    answer = page.post(reverse("runtimes:new"), filled)
    assert answer.status_code == 302
    assert answer.url == "/runtimes/forecasts/1/"
    shown = page.get(answer.url).content.decode()
    assert "Finding versions that go together" in shown
    assert "Waiting for a machine" in shown
    assert 'hx-trigger="every 2s"' in shown


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_made(people: People, as_person: Any) -> None:
    page = as_person(people.pete)
    filled = {"title": "", "slug": "Not A Slug", "python": "9", "requirements": "-e .\nsix\x7f"}
    shown = page.post(reverse("runtimes:new"), filled)
    assert shown.status_code == 422
    filled |= {"title": "X", "slug": "x", "python": "3.11"}
    shown = page.post(reverse("runtimes:new"), filled)
    assert shown.status_code == 422
    assert "Line 1: “-e” is not possible here" in shown.content.decode()
    assert Runtime.objects.count() == 0


def test_the_next_version_begins_with_what_there_is(people: People, ready: MakeReady, as_person: Any) -> None:
    ready(requirements="six==1.17.0\n")
    page = as_person(people.pete)
    url = reverse("runtimes:requirements", args=["ml"])
    assert "six==1.17.0" in page.get(url).content.decode()
    same = page.post(url, {"requirements": "six==1.17.0"})
    assert same.status_code == 422
    assert "has the same requirements" in same.content.decode()
    assert page.post(url, {"requirements": "six==1.17.0", "force": "1"}).url == "/runtimes/ml/2/"


def test_a_version_shows_its_packages_and_what_differs(people: People, ready: MakeReady, as_person: Any) -> None:
    ready()
    ready(lock=LOCK.replace("idna==3.10", "idna==3.11").replace("six==1.17.0", "attrs==25.1"))
    page = as_person(people.dana)
    shown = page.get("/runtimes/ml/2/").content.decode()
    assert "What differs from version 1" in shown
    assert 'aria-label="Added"' in shown
    assert 'aria-label="Removed"' in shown
    assert "3.10" in shown
    assert "3.11" in shown
    assert "winkerberos" not in shown, "is for another system"
    assert page.get("/runtimes/ml/2/?from=1").status_code == 200
    assert page.get("/runtimes/ml/2/?from=%00x").status_code in (200, 400)


def test_a_failed_one_says_why_and_can_be_tried_again(people: People, failed: RuntimeVersion, as_person: Any) -> None:
    page = as_person(people.pete)
    shown = page.get("/runtimes/broken/1/").content.decode()
    assert "This version could not be made" in shown
    assert "No such package." in shown
    assert "What uv said" in shown
    assert page.post("/runtimes/broken/1/retry/").url == "/runtimes/broken/1/"
    failed.refresh_from_db()
    assert failed.status == "locking"


def test_deprecating_asks_why_and_can_be_taken_back(people: People, ready: MakeReady, as_person: Any) -> None:
    version = ready()
    environment_running(people, runtime="ml")
    page = as_person(people.pete)
    assert "1 environment uses it" in page.get("/runtimes/ml/1/deprecate/").content.decode()
    assert page.post("/runtimes/ml/1/deprecate/", {"reason": "Old"}).status_code == 302
    version.refresh_from_db()
    assert (version.status, version.reason) == ("deprecated", "Old")
    assert page.post("/runtimes/ml/1/restore/").status_code == 302
    version.refresh_from_db()
    assert version.status == "ready"


def test_others_do_not_see_who_uses_it(people: People, ready: MakeReady, as_person: Any) -> None:
    ready()
    environment_running(people, runtime="ml", name="secret-project")
    assert "secret-project" in as_person(people.pete).get("/runtimes/ml/").content.decode()
    stranger = as_person(people.mallory).get("/runtimes/ml/").content.decode()
    assert "secret-project" not in stranger
    assert "1 environment of other teams" in stranger


def test_lists_ask_a_constant_number_of_questions(people: People, ready: MakeReady, as_person: Any) -> None:
    page = as_person(people.pete)

    def questions(url: str) -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert page.get(url).status_code == 200
        return len(asked)

    ready("a")
    before = questions("/runtimes/"), questions("/runtimes/a/")
    for number in range(4):
        ready(f"b{number}")
        environment_running(people, runtime="a", name=f"nb {number}")
        ready("a")
    assert (questions("/runtimes/"), questions("/runtimes/a/")) == before


def test_platform_engineers_have_it_in_the_left_bar(people: People, as_person: Any) -> None:
    assert b"Python environments" in as_person(people.pete).get("/").content
    assert b"Python environments" not in as_person(people.dana).get("/").content


def test_every_action_has_words_in_the_audit_log() -> None:
    assert all(words_for(action) == words for action, words in AUDIT_WORDS.items())
