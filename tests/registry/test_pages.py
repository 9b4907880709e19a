"""Pages of models: who sees what, with real models behind them."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.registry.cards import SECTIONS
from apps.registry.models import AliasMove, ModelCard, RegisteredModel
from apps.registry.services.details import version_details_read, versions_pending
from apps.registry.services.indexing import registry_round
from tests.cast import Cast, browser
from tests.registry.world import Registry

pytestmark = pytest.mark.django_db

PAGES = ["/models/churn.scores/", "/models/churn.scores/1/", "/models/churn.scores/compare/?old=1&new=2"]
HOSTILE = ["\x00", "a" * 5000, "-1", "9" * 40, "../../etc", "<script>alert(1)</script>", "%00"]


@pytest.fixture
def scores(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> RegisteredModel:
    registry.model("churn.scores", description="Who **leaves** <script>alert(1)</script>")
    registry.version("churn.scores", logged_models["first"], stage="shadow")
    registry.version("churn.scores", logged_models["second"])
    registry.alias("churn.scores", "champion", 1)
    registry_round()
    for pk in versions_pending():
        version_details_read(pk)
    return RegisteredModel.objects.get()


def test_the_list_shows_what_the_team_has(cast: Cast, scores: RegisteredModel) -> None:
    text = browser(cast.dana).get("/models/").content.decode()
    assert "churn.scores" in text
    assert "champion" in text
    assert '2<span class="only-small"> versions' in text
    assert text.count('"num">1 model<') == 1


@pytest.mark.parametrize("words", ["scores", "champion", "leaves", "slipway.team churn"])
def test_words_find_names_descriptions_aliases_and_tags(cast: Cast, scores: RegisteredModel, words: str) -> None:
    assert "churn.scores" in browser(cast.dana).get("/models/", {"q": words}).content.decode()


def test_what_emptied_the_list_can_be_removed(cast: Cast, scores: RegisteredModel) -> None:
    text = browser(cast.dana).get("/models/", {"q": "nothinglikethis"}).content.decode()
    assert "No model matches" in text
    assert "Remove nothinglikethis" in text


def test_pages_of_a_model_and_of_a_version_show_what_was_read(cast: Cast, scores: RegisteredModel) -> None:
    page = browser(cast.dana).get("/models/churn.scores/")
    text = page.content.decode()
    assert page.status_code == 200
    assert "<strong>leaves</strong>" in text
    assert "<script>alert(1)" not in text
    assert "3 columns" in text
    version = browser(cast.dana).get("/models/churn.scores/1/").content.decode()
    assert "scikit-learn==" in version
    assert "tenure" in version
    assert "optional" in version


def test_two_versions_are_compared_with_what_breaks_first(cast: Cast, scores: RegisteredModel) -> None:
    text = browser(cast.dana).get("/models/churn.scores/compare/?old=1&new=2").content.decode()
    assert "Callers break" in text
    assert "visits" in text
    assert "accuracy" in text


@pytest.mark.parametrize("path", PAGES)
def test_strangers_find_nothing_and_readers_look(cast: Cast, scores: RegisteredModel, path: str) -> None:
    assert browser(cast.mallory).get(path).status_code == 404
    assert browser(cast.ada).get(path).status_code == 200
    assert browser(cast.pete).get(path).status_code == 200
    assert browser(None).get(path).status_code == 302


def test_strangers_do_not_see_it_in_the_list(cast: Cast, scores: RegisteredModel) -> None:
    assert "churn.scores" not in browser(cast.mallory).get("/models/").content.decode()


def test_readers_change_nothing(cast: Cast, scores: RegisteredModel) -> None:
    for person, status in ((cast.ada, 403), (cast.pete, 403), (cast.mallory, 404)):
        client = browser(person)
        data = {"alias": "champion", "version": "2", "from_version": "1"}
        assert client.post("/models/churn.scores/alias/", data).status_code == status
        assert client.post("/models/churn.scores/alias/remove/", data).status_code == status
        assert client.post("/models/churn.scores/card/", {"from_number": "0", "license": "MIT"}).status_code == status
        assert client.post("/models/churn.scores/description/", {"description": "x", "seen": "x"}).status_code == status
    assert not ModelCard.objects.exists()
    assert AliasMove.objects.count() == 1


@pytest.mark.parametrize("value", HOSTILE)
def test_odd_values_are_no_failures(cast: Cast, scores: RegisteredModel, value: str) -> None:
    client = browser(cast.dana)
    for query in ({"q": value}, {"team": value}, {"alias": value}, {"ordering": value}, {"cursor": value}):
        assert client.get("/models/", query).status_code in (200, 400), query
    for query in ({"card": value}, {"cursor": value}):
        assert client.get("/models/churn.scores/", query).status_code in (200, 400), query
    assert client.get("/models/churn.scores/compare/", {"old": value, "new": value}).status_code in (200, 400)
    form = {"alias": value, "version": value, "from_version": value}
    assert client.post("/models/churn.scores/alias/", form).status_code in (400, 409, 422)
    assert client.post("/models/churn.scores/alias/remove/", form).status_code in (302, 400)
    answer = client.post("/models/churn.scores/card/", {"from_number": value, "license": value})
    assert answer.status_code in (400, 422)
    answer = client.post("/models/churn.scores/description/", {"description": value, "seen": value})
    assert answer.status_code in (400, 409, 422)


def test_numbers_beyond_all_versions_are_not_found(cast: Cast, scores: RegisteredModel) -> None:
    for number in ("0", "3", "99999999999999999999"):
        assert browser(cast.dana).get(f"/models/churn.scores/{number}/").status_code == 404


def test_more_models_cost_no_more_queries(cast: Cast, scores: RegisteredModel) -> None:
    client = browser(cast.dana)
    client.get("/models/")
    with CaptureQueriesContext(connection) as few:
        client.get("/models/")
    for number in range(20):
        RegisteredModel.objects.create(name=f"churn.m{number}", born=number, team=scores.team, fingerprint="x")
    with CaptureQueriesContext(connection) as many:
        client.get("/models/")
    assert len(many) == len(few)


def test_a_page_says_that_mlflow_is_away(cast: Cast, scores: RegisteredModel, settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    registry_round()
    for path in ("/models/", "/models/churn.scores/", "/models/churn.scores/1/"):
        page = browser(cast.dana).get(path)
        assert page.status_code == 200
        assert "does not answer just now" in page.content.decode()
    form = {"alias": "champion", "version": "2", "from_version": "1"}
    answer = browser(cast.dana).post("/models/churn.scores/alias/", form)
    assert answer.status_code == 503
    assert "Nothing is lost" in answer.content.decode()


def test_a_card_is_written_in_versions_and_nobody_overwrites_unseen(cast: Cast, scores: RegisteredModel) -> None:
    dana, mira = browser(cast.dana), browser(cast.mira)
    assert "Missing:" in dana.get("/models/churn.scores/").content.decode()
    first = {"from_number": "0", "intended_use": "Call <b>customers</b>", "license": "internal"}
    assert dana.post("/models/churn.scores/card/", first).status_code == 302
    answer = mira.post("/models/churn.scores/card/", {"from_number": "0", "license": "MIT"})
    assert answer.status_code == 409
    assert "Dana" in answer.content.decode()
    assert mira.post("/models/churn.scores/card/", {"from_number": "1", "license": "MIT"}).status_code == 302
    assert list(ModelCard.objects.values_list("number", "author__username")) == [(2, "mira"), (1, "dana")]
    old = dana.get("/models/churn.scores/?card=1").content.decode()
    assert "An earlier version of the card" in old
    assert "&lt;b&gt;customers" in old


def test_sections_that_are_filled_in_raise_the_completeness_shown(cast: Cast, scores: RegisteredModel) -> None:
    client = browser(cast.dana)
    expected = [section for section in SECTIONS if section.expected]

    def shown() -> tuple[str, str]:
        listed, page = client.get("/models/").content.decode(), client.get("/models/churn.scores/").content.decode()
        counts = re.search(r"(\d+ of \d+)</td>", listed), re.search(r"(\d+ of \d+) sections", page)
        return tuple(count[1] if count else "" for count in counts)  # type: ignore[return-value]

    assert shown() == ("0 of 9", "0 of 9")
    texts: dict[str, str] = {}
    for number, some in enumerate((expected[:1], expected[1:4], expected[4:])):
        form = client.get("/models/churn.scores/card/").context["form"]
        assert {name: field.initial for name, field in form.fields.items() if field.initial} == (
            {**texts, "from_number": number} if number else {}
        )
        texts |= {section.key: f"About *{section.key}*" for section in some}
        answer = client.post("/models/churn.scores/card/", {"from_number": str(number), **texts})
        assert answer.status_code == 302
        assert shown() == (f"{len(texts)} of 9", f"{len(texts)} of 9")
    assert list(ModelCard.objects.order_by("number").values_list("number", flat=True)) == [1, 2, 3]
    page = client.get("/models/churn.scores/").content.decode()
    assert "Missing:" not in page
    assert all(f"<em>{section.key}</em>" in page for section in expected)
    old = client.get("/models/churn.scores/?card=1").content.decode()
    assert "1 of 9 sections written" in old


def test_a_card_that_says_the_same_is_no_new_version(cast: Cast, scores: RegisteredModel) -> None:
    client = browser(cast.dana)
    for number in ("0", "1"):
        client.post("/models/churn.scores/card/", {"from_number": number, "license": "MIT"})
    assert ModelCard.objects.count() == 1


def test_another_teams_model_of_the_same_name_inherits_nothing(
    cast: Cast, registry: Registry, scores: RegisteredModel
) -> None:
    browser(cast.dana).post("/models/churn.scores/card/", {"from_number": "0", "license": "secret words"})
    registry.delete("churn.scores")
    registry.model("churn.scores", team="pricing")
    registry_round()
    text = browser(cast.mallory).get("/models/churn.scores/").content.decode()
    assert "secret words" not in text
    assert "champion</code>" not in text
    assert "No alias has been set yet" in text
    assert browser(cast.dana).get("/models/churn.scores/").status_code == 404
