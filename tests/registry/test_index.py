"""The index over MLflow's registry, on a real MLflow with real models."""

import html
from typing import Any

import pytest
from django.urls import reverse

from apps.experiments.exceptions import TrackerAway
from apps.registry import gateway
from apps.registry.models import ModelVersion, RegisteredModel, RegistryIndex
from apps.registry.services.details import version_details_read
from apps.registry.services.indexing import registry_drop, registry_round, registry_touch
from tests.cast import Cast, browser
from tests.registry.world import Registry

pytestmark = pytest.mark.django_db


def test_a_round_reads_models_versions_and_aliases(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.scores", description="Who leaves")
    registry.version("churn.scores", logged_models["first"])
    registry.version("churn.scores", logged_models["second"])
    registry.alias("churn.scores", "champion", 1)
    assert registry_round()
    model = RegisteredModel.objects.get(name="churn.scores")
    assert (model.team.slug, model.description) == ("churn", "Who leaves")
    assert (model.version_count, model.newest_version) == (2, 2)
    assert list(model.aliases.values_list("alias", "version")) == [("champion", 1)]
    assert model.versions.get(version=2).run_id == logged_models["second"]["run_id"]
    assert model.versions.get(version=2).logged_model_id == logged_models["second"]["model_id"]


def test_files_tell_signature_requirements_example_and_digest(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"])
    registry_round()
    version = ModelVersion.objects.get(model="churn.scores", version=1)
    version_details_read(version.pk)
    version.refresh_from_db()
    assert version.details == "read", version.details_reason
    names = [(field["name"], field["type"], field["required"]) for field in version.signature["inputs"]]
    assert names == [("age", "double", True), ("income", "double", True), ("tenure", "double", False)]
    assert "sklearn" in version.flavors
    assert any(line.startswith("scikit-learn==") for line in version.requirements)
    assert version.example["dataframe_split"]["columns"] == ["age", "income", "tenure"]
    assert len(version.digest) == 64
    assert version.size_bytes > 500
    assert {"MLmodel", "model.pkl"} & {each["path"] for each in version.files}
    assert version.metrics["accuracy"] == pytest.approx(0.81)


def test_a_tag_that_names_no_team_of_ours_makes_it_nobodys(cast: Cast, registry: Registry) -> None:
    registry.model("x1", team="nosuchteam")
    registry.model("x2", team=None)
    registry_round()
    assert set(RegisteredModel.objects.values_list("team", flat=True)) == {None}


def test_a_dropped_index_is_filled_again_with_the_same_history(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"])
    registry_round()
    registry_drop()
    assert not RegisteredModel.objects.exists()
    registry_round()
    assert RegisteredModel.objects.get().version_count == 1


def test_a_tag_of_a_version_arrives_with_the_next_round(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"])
    registry_round()
    data = {"name": "churn.scores", "version": "1", "key": "stage", "value": "shadow"}
    registry.ask("POST", "model-versions/set-tag", json=data)
    registry_round()
    assert ModelVersion.objects.get().tags["stage"] == "shadow"


def test_a_deleted_version_and_a_deleted_model_go(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"])
    registry.version("churn.scores", logged_models["second"])
    registry_round()
    registry.ask("DELETE", "model-versions/delete", json={"name": "churn.scores", "version": "1"})
    registry_round()
    assert list(ModelVersion.objects.values_list("version", flat=True)) == [2]
    registry.delete("churn.scores")
    registry_round()
    assert RegisteredModel.objects.get().gone_at is not None


def test_names_with_quotes_markup_and_spaces_are_read(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    names = ["churn.it's", 'churn."big"', "churn.<script>alert(1)</script>".replace("/", ""), "churn.ÄÖ with spaces"]
    for name in names:
        registry.model(name)
        registry.version(name, logged_models["first"])
    registry_round()
    assert dict(RegisteredModel.objects.values_list("name", "version_count")) == dict.fromkeys(names, 1)


def test_mlflow_away_is_noted_and_nothing_is_lost(cast: Cast, registry: Registry, settings: Any) -> None:
    registry.model("churn.scores")
    registry_round()
    there = settings.MLFLOW_TRACKING_URI
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    assert not registry_round()
    index = RegistryIndex.objects.get()
    assert index.away_since is not None
    assert index.working_until is None
    assert RegisteredModel.objects.kept().count() == 1
    with pytest.raises(TrackerAway):
        registry_touch("churn.scores")
    settings.MLFLOW_TRACKING_URI = there
    assert registry_round()
    assert RegistryIndex.objects.get().away_since is None


def test_a_second_worker_leaves_a_round_to_the_first(cast: Cast, registry: Registry, monkeypatch: Any) -> None:
    registry.model("churn.scores")
    second: list[bool] = []
    models_all = gateway.models_all

    def meanwhile() -> Any:
        second.append(registry_round())
        return models_all()

    monkeypatch.setattr(gateway, "models_all", meanwhile)
    assert registry_round()
    assert second == [False]


def test_the_owner_is_who_made_the_first_version_not_who_is_claimed(
    cast: Cast, registry: Registry, logged_models: dict[str, Any]
) -> None:
    tags = [{"key": "slipway.team", "value": "churn"}, {"key": "slipway.user", "value": "mira"}]
    registry.ask("POST", "registered-models/create", json={"name": "churn.claimed", "tags": tags})
    registry.made.append("churn.claimed")
    registry_round()
    assert RegisteredModel.objects.get().owner == cast.mira
    registry.version("churn.claimed", logged_models["first"], **{"slipway.user": "dana"})
    registry_round()
    assert RegisteredModel.objects.get().owner == cast.dana


def test_an_owner_who_has_left_the_team_is_none(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["first"], **{"slipway.user": "dana"})
    registry_round()
    cast.dana.memberships.filter(team=cast.churn).delete()
    RegisteredModel.objects.update(fingerprint="")
    registry_round()
    assert RegisteredModel.objects.get().owner is None


@pytest.mark.parametrize(
    "name", ["churn.a?b#c", "churn.100%", 'churn.it\'s "so"', "churn.<b>x", "churn.&amp;", "churn.+ +", "churn.ÄÖ"]
)
def test_pages_of_odd_names_are_found_and_shown_safely(
    cast: Cast, registry: Registry, logged_models: dict[str, Any], name: str
) -> None:
    registry.model(name)
    registry.version(name, logged_models["first"])
    registry_round()
    client = browser(cast.dana)
    listed = client.get("/models/").content.decode()
    assert "<b>x" not in listed
    url = reverse("registry:model", args=[name])
    assert url in html.unescape(listed)
    for path in (url, f"{url}1/", f"{url}compare/", f"{url}alias/", f"{url}card/"):
        assert client.get(path).status_code == 200, path
    move = {"alias": "champion", "version": "1", "from_version": ""}
    assert client.post(f"{url}alias/", move).status_code == 302


def test_many_models_at_once_are_read_in_one_walk(
    cast: Cast, registry: Registry, logged_models: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.registry.services.indexing.IN_BULK", 1)
    for number in range(3):
        registry.model(f"churn.m{number}")
        registry.version(f"churn.m{number}", logged_models["first"])
    registry_round()
    assert set(RegisteredModel.objects.values_list("version_count", "newest_version")) == {(1, 1)}
    assert not RegisteredModel.objects.filter(checked_at=None).exists()
