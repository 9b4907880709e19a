"""Changing a model's description, on a real MLflow."""

import re
from typing import Any

import pytest

from apps.audit.models import AuditEvent
from apps.core.exceptions import NotAllowed
from apps.registry import gateway
from apps.registry.exceptions import DescriptionInvalid, ModelGone
from apps.registry.models import RegisteredModel
from apps.registry.services.describing import description_mark, description_write
from apps.registry.services.indexing import registry_round
from tests.cast import Cast, browser
from tests.registry.world import Registry

pytestmark = pytest.mark.django_db
PATH = "/models/churn.scores/description/"


@pytest.fixture
def scores(cast: Cast, registry: Registry) -> RegisteredModel:
    registry.model("churn.scores", description="Who leaves")
    registry_round()
    return RegisteredModel.objects.get()


def seen_on(page: Any) -> str:
    found = re.search(r'name="seen" value="([^"]+)"', page.content.decode())
    assert found
    return found[1]


def there() -> str:
    return str((gateway.model_get("churn.scores") or {}).get("description", ""))


def test_a_member_changes_it_in_mlflow_and_in_the_index(cast: Cast, scores: RegisteredModel) -> None:
    client = browser(cast.mira)
    assert "Edit description" in client.get("/models/churn.scores/").content.decode()
    page = client.get(PATH)
    assert "Who leaves" in page.content.decode()
    text = "Who **leaves** <script>alert(1)</script>\r\n\r\n| a | b |\r\n|---|---|\r\n| 1 | 2 |"
    answer = client.post(PATH, {"description": text, "seen": seen_on(page)})
    assert (answer.status_code, answer["Location"]) == (302, "/models/churn.scores/")
    assert there() == text.replace("\r\n", "\n")
    shown = client.get("/models/churn.scores/").content.decode()
    assert "<strong>leaves</strong>" in shown
    assert "<table>" in shown
    assert "<script>alert" not in shown
    event = AuditEvent.objects.get(action="registry:model:described")
    assert (event.actor, event.before) == (cast.mira, {"description": "Who leaves"})
    registry_round()
    assert RegisteredModel.objects.get().description == text.replace("\r\n", "\n")


def test_nobody_overwrites_what_they_have_not_seen(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    client = browser(cast.dana)
    seen = seen_on(client.get(PATH))
    registry.ask("PATCH", "registered-models/update", json={"name": "churn.scores", "description": "Said *elsewhere*"})
    answer = client.post(PATH, {"description": "Mine", "seen": seen})
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Nothing was saved" in text
    assert "<em>elsewhere</em>" in text
    assert "Mine" in text
    assert there() == "Said *elsewhere*"
    assert client.post(PATH, {"description": "Mine", "seen": seen_on(answer)}).status_code == 302
    assert there() == "Mine"


def test_the_same_text_changes_nothing(cast: Cast, scores: RegisteredModel) -> None:
    assert not description_write(model=scores, actor=cast.dana, description="Who leaves ", seen="whatever")
    assert not AuditEvent.objects.filter(action="registry:model:described").exists()


def test_it_can_be_emptied(cast: Cast, scores: RegisteredModel) -> None:
    assert description_write(model=scores, actor=cast.dana, description="", seen=description_mark("Who leaves"))
    assert there() == ""
    assert "Add description" in browser(cast.dana).get("/models/churn.scores/").content.decode()


def test_readers_see_it_without_a_way_to_change_it(cast: Cast, scores: RegisteredModel) -> None:
    for person, status in ((cast.ada, 403), (cast.pete, 403), (cast.mallory, 404)):
        assert browser(person).get(PATH).status_code == status
    assert "Edit description" not in browser(cast.ada).get("/models/churn.scores/").content.decode()
    with pytest.raises(NotAllowed, match="writes its description"):
        description_write(model=scores, actor=cast.ada, description="x", seen=description_mark("Who leaves"))


def test_what_is_too_long_is_said_at_the_field(cast: Cast, scores: RegisteredModel) -> None:
    client = browser(cast.dana)
    answer = client.post(PATH, {"description": "x" * 5001, "seen": seen_on(client.get(PATH))})
    assert answer.status_code == 422
    assert "5000" in answer.content.decode()
    with pytest.raises(DescriptionInvalid):
        description_write(model=scores, actor=cast.dana, description="x" * 5001, seen=description_mark("Who leaves"))


def test_of_a_model_that_is_gone_or_while_mlflow_is_away(
    cast: Cast, registry: Registry, scores: RegisteredModel, settings: Any
) -> None:
    client = browser(cast.dana)
    seen = seen_on(client.get(PATH))
    url = settings.MLFLOW_TRACKING_URI
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    answer = client.post(PATH, {"description": "Mine", "seen": seen})
    assert answer.status_code == 503
    assert "Mine" in answer.content.decode()
    settings.MLFLOW_TRACKING_URI = url
    registry.delete("churn.scores")
    with pytest.raises(ModelGone):
        description_write(model=scores, actor=cast.dana, description="x", seen=seen)
