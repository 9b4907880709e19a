"""Registering a version from a run."""

from typing import Any

import pytest

from apps.core.exceptions import NotAllowed
from apps.experiments.models import Run
from apps.experiments.services.indexing import run_touch
from apps.registry import gateway
from apps.registry.exceptions import ModelNameTaken, RegisterInvalid
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.services.registering import version_register
from tests.cast import Cast, browser
from tests.registry.world import Registry, at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(cast: Cast, registry: Registry, logged_models: dict[str, Any]) -> Run:
    run_touch(logged_models["first"]["run_id"])
    return Run.objects.select_related("experiment__team").get(run_id=logged_models["first"]["run_id"])


@pytest.fixture
def made(registry: Registry) -> list[str]:
    """Names that the portal makes, to be taken away afterwards."""
    return registry.made


def test_the_form_registers_a_new_model_stamped_with_team_and_person(
    cast: Cast, run: Run, made: list[str], logged_models: dict[str, Any]
) -> None:
    client, model_id = browser(cast.dana), logged_models["first"]["model_id"]
    page = client.get("/models/register/", {"run": run.run_id, "model": model_id})
    assert page.status_code == 200
    token = page.context["form"].initial["request"]
    form = {"run": run.run_id, "request": token, "model": model_id, "name": ":new", "new_name": "leavers"}
    made.append("churn.leavers")
    answer = client.post("/models/register/", form)
    assert answer.status_code == 302, answer.content.decode()
    assert answer["Location"] == "/models/churn.leavers/1/"
    again = client.post("/models/register/", form)
    assert again["Location"] == "/models/churn.leavers/1/"
    assert len(list(gateway.versions_of("churn.leavers"))) == 1
    tags = {tag["key"]: tag["value"] for tag in gateway.model_get("churn.leavers")["tags"]}
    assert (tags["slipway.team"], tags["slipway.user"]) == ("churn", "dana")
    version = ModelVersion.objects.get()
    assert (version.run_id, version.logged_model_id, version.created_by) == (run.run_id, model_id, cast.dana)
    assert RegisteredModel.objects.get().owner == cast.dana


@pytest.mark.django_db(transaction=True)
def test_two_presses_at_once_register_once(cast: Cast, run: Run, made: list[str], logged_models: Any) -> None:
    made.append("churn.twice")
    found: list[Any] = []

    def press() -> None:
        found.append(
            version_register(
                actor=cast.dana,
                run=run,
                source=logged_models["first"]["model_id"],
                name="churn.twice",
                is_new=True,
                request="same-press",
            )
        )

    at_once(press, workers=3)
    assert [each.version for each in found] == [1, 1, 1]
    assert len(list(gateway.versions_of("churn.twice"))) == 1


def test_a_version_of_a_known_model_is_the_next(
    cast: Cast, run: Run, registry: Registry, logged_models: dict[str, Any]
) -> None:
    registry.model("churn.scores")
    registry.version("churn.scores", logged_models["second"])
    RegisteredModel.objects.create(name="churn.scores", born=0, team=cast.churn, fingerprint="")
    model_id = logged_models["first"]["model_id"]
    done = version_register(actor=cast.mira, run=run, source=model_id, name="churn.scores", is_new=False, request="x")
    assert done.version == 2


def test_names_of_others_and_odd_names_are_refused(
    cast: Cast, run: Run, registry: Registry, logged_models: dict[str, Any]
) -> None:
    def register(name: str, *, is_new: bool = True, source: str = logged_models["first"]["model_id"]) -> None:
        version_register(actor=cast.dana, run=run, source=source, name=name, is_new=is_new, request="x")

    for name in (
        "vision.x",
        "leavers",
        "churn.",
        "churn. x",
        "churn.a/b",
        "churn.a:b",
        "churn.\x00",
        "churn." + "x" * 200,
    ):
        with pytest.raises(RegisterInvalid):
            register(name)
    with pytest.raises(RegisterInvalid):
        register("pricing.secret", is_new=False)
    registry.model("churn.taken")
    with pytest.raises(ModelNameTaken):
        register("churn.taken")
    for source in (logged_models["second"]["model_id"], "m-ffff", "m-../x", "../../etc", "/etc/passwd", "a//b"):
        with pytest.raises(RegisterInvalid):
            register("churn.other", source=source)


def test_strangers_do_not_find_the_run_and_readers_may_not(cast: Cast, run: Run) -> None:
    address = f"/models/register/?run={run.run_id}"
    assert browser(cast.mallory).get(address).status_code == 404
    assert browser(cast.ada).get(address).status_code == 403
    assert browser(cast.pete).get(address).status_code == 403
    with pytest.raises(NotAllowed):
        version_register(actor=cast.ada, run=run, source="m-1", name="churn.x", is_new=True, request="x")


@pytest.mark.parametrize("run_id", ["", "nope", "../x", "a" * 33, "0" * 32, "<b>"])
def test_runs_that_are_not_there_are_not_found(cast: Cast, registry: Registry, run_id: str) -> None:
    assert browser(cast.dana).get("/models/register/", {"run": run_id}).status_code == 404


def test_a_model_called_register_is_found(cast: Cast, registry: Registry) -> None:
    RegisteredModel.objects.create(name="register", born=1, team=cast.churn, fingerprint="")
    assert browser(cast.dana).get("/models/register/").status_code == 200
    assert browser(cast.mallory).get("/models/register/").status_code == 404


def test_mlflow_away_is_said_before_anything_is_filled_in(cast: Cast, run: Run, settings: Any) -> None:
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    page = browser(cast.dana).get(f"/models/register/?run={run.run_id}")
    assert page.status_code == 503
    assert "does not answer just now" in page.content.decode()
