"""Moving aliases here, and noticing that they were moved elsewhere; on a real MLflow."""

from typing import Any

import pytest

from apps.audit.models import AuditEvent
from apps.core.exceptions import NotAllowed
from apps.home.seeding import champions_seed
from apps.notifications.models import Notification
from apps.registry import gateway
from apps.registry.exceptions import AliasInvalid, AliasMoved, ModelGone
from apps.registry.models import AliasMove, ModelAlias, ModelCard, RegisteredModel
from apps.registry.services.aliases import alias_delete, alias_set
from apps.registry.services.cards import card_write
from apps.registry.services.indexing import registry_drop, registry_round, registry_touch
from tests.cast import Cast, browser
from tests.registry.world import Registry, at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def scores(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> RegisteredModel:
    """Three versions and a round that saw no alias."""
    registry.model("churn.scores")
    for name in ("first", "second", "tensor"):
        registry.version("churn.scores", logged_models[name], **{"slipway.user": "dana"})
    registry_round()
    return RegisteredModel.objects.get()


def moves() -> list[tuple[str, int | None, int | None, str, str]]:
    rows = AliasMove.objects.order_by("noticed_at", "alias")
    return list(rows.values_list("alias", "from_version", "to_version", "via", "actor_name"))


def test_a_move_is_made_in_mlflow_and_written_down(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    alias_set(model=scores, actor=cast.mira, alias="champion", version=2, from_version=1)
    assert gateway.model_get("churn.scores")["aliases"] == [{"alias": "champion", "version": "2"}]
    assert moves() == [("champion", None, 1, "slipway", "dana"), ("champion", 1, 2, "slipway", "mira")]
    assert list(ModelAlias.objects.values_list("alias", "version")) == [("champion", 2)]
    assert AuditEvent.objects.filter(action="registry:alias:set").count() == 2
    registry_round()
    assert len(moves()) == 2


def test_deleting_is_a_move_to_nowhere(cast: Cast, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    alias_delete(model=scores, actor=cast.dana, alias="champion", from_version=1)
    assert moves()[-1] == ("champion", 1, None, "slipway", "dana")
    assert not gateway.model_get("churn.scores").get("aliases")


def test_setting_it_where_it_is_changes_nothing(cast: Cast, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    assert alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None) is None
    assert len(moves()) == 1


def test_a_move_from_where_it_no_longer_is_is_told(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    registry.alias("churn.scores", "champion", 3)
    with pytest.raises(AliasMoved) as told:
        alias_set(model=scores, actor=cast.mira, alias="champion", version=2, from_version=1)
    assert told.value.now == 3
    assert "version 3 now" in str(told.value)
    assert gateway.model_get("churn.scores")["aliases"] == [{"alias": "champion", "version": "3"}]
    assert moves()[-1] == ("champion", 1, 3, "elsewhere", "")


def test_the_page_tells_a_conflict_and_goes_on_from_there(
    cast: Cast, registry: Registry, scores: RegisteredModel
) -> None:
    client = browser(cast.dana)
    form = {"alias": "champion", "version": "1", "from_version": ""}
    assert client.post("/models/churn.scores/alias/", form).status_code == 302
    registry.alias("churn.scores", "champion", 3)
    answer = client.post("/models/churn.scores/alias/", {**form, "version": "2", "from_version": "1"})
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "it is at version 3 now" in text
    assert 'name="from_version" value="3"' in text
    again = client.post("/models/churn.scores/alias/", {**form, "version": "2", "from_version": "3"})
    assert again.status_code == 302


@pytest.mark.parametrize("alias", ["latest", "Latest", "v3", "", "a b", "a/b", "ä", "x" * 101, "<b>"])
def test_names_that_mlflow_keeps_or_refuses_are_named(cast: Cast, scores: RegisteredModel, alias: str) -> None:
    with pytest.raises(AliasInvalid) as told:
        alias_set(model=scores, actor=cast.dana, alias=alias, version=1, from_version=None)
    assert "alias" in told.value.errors


def test_a_version_that_is_not_there_is_named(cast: Cast, scores: RegisteredModel) -> None:
    with pytest.raises(AliasInvalid) as told:
        alias_set(model=scores, actor=cast.dana, alias="champion", version=9, from_version=None)
    assert "version" in told.value.errors


def test_only_members_of_the_team_move_aliases(cast: Cast, scores: RegisteredModel) -> None:
    for person in (cast.pete, cast.ada, cast.mallory):
        with pytest.raises(NotAllowed, match="Only somebody of team Churn"):
            alias_set(model=scores, actor=person, alias="champion", version=1, from_version=None)
    assert moves() == []


def test_a_move_elsewhere_is_noticed_marked_and_told(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    registry.alias("churn.scores", "champion", 2)
    registry.alias("churn.scores", "shadow", 3)
    registry_round()
    assert moves()[1:] == [("champion", 1, 2, "elsewhere", ""), ("shadow", None, 3, "elsewhere", "")]
    told = Notification.objects.filter(user=cast.dana).values_list("text", flat=True)
    assert "champion of churn.scores was moved from version 1 to 2 outside Slipway" in list(told)
    assert AuditEvent.objects.filter(action="registry:alias:moved-elsewhere").count() == 2
    text = browser(cast.dana).get("/models/churn.scores/").content.decode()
    assert "was moved from version 1 to 2 outside Slipway" in text
    registry_round()
    assert len(moves()) == 3


def test_an_alias_taken_away_elsewhere_is_noticed(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    registry.alias_delete("churn.scores", "champion")
    registry_round()
    assert moves()[-1] == ("champion", 1, None, "elsewhere", "")


def test_what_the_first_reading_finds_is_no_move(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> None:
    registry.model("churn.old")
    registry.version("churn.old", logged_models["first"])
    registry.alias("churn.old", "champion", 1)
    registry_round()
    assert moves() == [("champion", None, 1, "found", "")]
    assert not Notification.objects.exists()
    assert RegisteredModel.objects.get().last_promoted_at is None


def test_moves_made_while_the_index_was_dropped_are_noticed(
    cast: Cast, registry: Registry, scores: RegisteredModel
) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    registry_drop()
    registry.alias("churn.scores", "champion", 2)
    registry_round()
    assert moves() == [("champion", None, 1, "slipway", "dana"), ("champion", 1, 2, "elsewhere", "")]
    assert RegisteredModel.objects.get().last_promoted_at is not None


def test_a_move_of_ours_between_reading_and_comparing_is_not_called_foreign(
    cast: Cast, registry: Registry, scores: RegisteredModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.alias("churn.scores", "champion", 1)
    registry_round()
    before = AliasMove.objects.count()
    models_all = gateway.models_all

    def read_early() -> Any:
        found = list(models_all())
        alias_set(model=scores, actor=cast.dana, alias="champion", version=2, from_version=1)
        return iter(found)

    monkeypatch.setattr(gateway, "models_all", read_early)
    RegisteredModel.objects.update(fingerprint="")
    registry_round()
    assert [move[3] for move in moves()[before:]] == ["slipway"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_note_a_move_once(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    registry.alias("churn.scores", "champion", 2)
    at_once(lambda: registry_touch("churn.scores"))
    assert moves() == [("champion", None, 2, "elsewhere", "")]


def test_a_renamed_model_keeps_card_and_history(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    card_write(model=scores, actor=cast.dana, sections={"license": "MIT"}, from_number=0)
    registry.rename("churn.scores", "churn.ratings")
    registry_round()
    assert list(RegisteredModel.objects.values_list("name", flat=True)) == ["churn.ratings"]
    assert AliasMove.objects.get().model_name == "churn.ratings"
    assert ModelCard.objects.get().model_name == "churn.ratings"
    text = browser(cast.dana).get("/models/churn.ratings/").content.decode()
    assert "Dana" in text
    assert "MIT" in text


def test_nothing_is_moved_of_a_model_that_is_gone(cast: Cast, registry: Registry, scores: RegisteredModel) -> None:
    registry.delete("churn.scores")
    with pytest.raises(ModelGone):
        alias_set(model=scores, actor=cast.dana, alias="champion", version=1, from_version=None)
    registry_round()
    page = browser(cast.dana).get("/models/churn.scores/")
    assert "Deleted in MLflow" in page.content.decode()
    assert browser(cast.dana).get("/models/churn.scores/alias/").status_code == 403


def test_the_demos_champions_are_set_by_their_people_and_only_once(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.leaver-screening")
    registry.version("churn.leaver-screening", logged_models["first"])
    assert champions_seed() == ["churn.leaver-screening"]
    assert champions_seed() == []
    assert moves() == [("champion", None, 1, "slipway", "dana")]
    alias_delete(model=RegisteredModel.objects.get(), actor=cast.dana, alias="champion", from_version=1)
    assert champions_seed() == []
