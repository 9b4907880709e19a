"""MLflow's workspaces: what the index and the portal's own calls read, and the registry's names."""

import json
import secrets
from typing import Any

import pytest
import requests

from apps.accounts.models import Team
from apps.experiments import gateway, hints
from apps.experiments.exceptions import TrackerRefused
from apps.experiments.gateway.histories import history_bulk
from apps.experiments.gateway.run_detail import models_read, note_write, run_read, traces_read
from apps.experiments.gateway.runs import run_get, runs_by_id
from apps.experiments.gateway.workspaces import Asked, asked_of, model_place, workspaces
from apps.experiments.mlflow_rules import Kind
from apps.experiments.models import Experiment, Run, TrackerIndex
from apps.experiments.services.indexing import experiment_touch, index_runs, run_touch
from apps.experiments.services.indexing.working import index_turn
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.services.details import version_details_read
from apps.registry.services.indexing import registry_round, registry_touch
from apps.registry.services.registering import version_register
from tests.cast import browser
from tests.experiments.mlflow_attacks import FILES, NOW, V2
from tests.experiments.workspace_server import HEADER, WorkspaceServer, server

__all__ = ["server"]
pytestmark = pytest.mark.slow


@pytest.fixture
def portal(server: WorkspaceServer, settings: Any, db: None) -> WorkspaceServer:
    from django.core.cache import cache

    settings.MLFLOW_TRACKING_URI, settings.MLFLOW_SERVER_SECRET = server.url, ""
    cache.clear()
    for kind in Kind:
        hints.take(kind, 10_000)
    return server


@pytest.fixture
def people(portal: WorkspaceServer) -> Any:
    from tests.cast import cast_make

    cast = cast_make()
    for slug in ("vision", "churn", "pricing"):
        Team.objects.get_or_create(slug=slug, defaults={"name": slug.title()})
    return cast


def turned() -> None:
    while index_turn(import_seconds=20, reconcile_seconds=20):
        pass
    assert TrackerIndex.objects.get().away_reason == ""


def reconciled() -> None:
    row = TrackerIndex.objects.get()
    row.reconcile_place |= {"walk": None, "rest_until": 0, "hurry": True, "wide_at": 0}
    row.save()
    index_turn(reconcile_seconds=60)
    assert TrackerIndex.objects.get().away_reason == ""


def test_the_import_reads_every_workspace_and_gives_each_its_team(portal: WorkspaceServer, people: Any) -> None:
    made = {place: portal.experiment_in(place, slipway_team="churn") for place in ("vision", "pricing", "research")}
    made["default"] = portal.experiment_in("default", slipway_team="churn")
    made["named"] = portal.experiment_in("default", f"churn/{secrets.token_hex(4)}")
    runs = {place: portal.run_in(place.replace("named", "default"), pk, loss=0.5) for place, pk in made.items()}
    turned()
    teams = dict(Experiment.objects.filter(pk__in=made.values()).values_list("pk", "team__slug"))
    assert [teams[made[place]] for place in ("vision", "pricing", "research", "default", "named")] == [
        "vision",
        "pricing",
        None,
        None,
        "churn",
    ]
    kept = dict(Run.objects.filter(run_id__in=runs.values()).values_list("run_id", "experiment_id"))
    assert kept == {runs[place]: made[place] for place in made}
    assert Experiment.objects.get(pk=made["pricing"]).main_metric == "loss"
    seen = set(Experiment.objects.visible_to(people.dana).values_list("pk", flat=True))
    assert made["pricing"] not in seen
    assert made["research"] not in seen


def test_rounds_and_the_reconcile_see_changes_in_every_workspace(portal: WorkspaceServer, people: Any) -> None:
    made = {place: portal.experiment_in(place) for place in ("default", "pricing", "vision")}
    old = {place: portal.run_in(place, pk, start=NOW - 90 * 86_400_000) for place, pk in made.items()}
    turned()
    new = {place: portal.run_in(place, pk) for place, pk in made.items()}
    hints.leave(Kind.RUN, new.values())
    late = portal.experiment_in("vision")
    index_turn(reconcile_seconds=0)
    assert Run.objects.filter(run_id__in=new.values()).count() == 3
    assert Experiment.objects.get(pk=late).team == Team.objects.get(slug="vision")
    for place, run in old.items():
        data = {"run_id": run, "key": "stage", "value": place}
        portal.within(place, "POST", "runs/set-tag", json=data)
        portal.within(place, "POST", "runs/delete", json={"run_id": new[place]})
    portal.within("pricing", "POST", "experiments/delete", json={"experiment_id": made["pricing"]})
    reconciled()
    assert {run.tags.get(key="stage").value for run in Run.objects.filter(run_id__in=old.values())} == set(made)
    assert set(Run.objects.filter(run_id__in=new.values()).values_list("archived", flat=True)) == {True}
    assert Experiment.objects.get(pk=made["pricing"]).archived


def test_the_reconcile_drops_what_a_workspace_has_no_more(portal: WorkspaceServer, people: Any) -> None:
    made = {place: portal.experiment_in(place) for place in ("default", "pricing", "vision")}
    runs = {place: portal.run_in(place, pk) for place, pk in made.items()}
    turned()
    ghosts = [run_get(run_id) for run_id in runs.values()]
    for ghost in ghosts:
        # What still runs is read by its id in every round.
        ghost["info"] |= {"run_id": secrets.token_hex(16), "status": "FINISHED", "end_time": NOW + 1}
    index_runs(ghosts)
    reconciled()
    assert not Run.objects.filter(run_id__in=[ghost["info"]["run_id"] for ghost in ghosts]).exists()
    assert Run.objects.filter(run_id__in=runs.values()).count() == 3


def test_an_experiment_that_moves_to_another_workspace_changes_its_team(portal: WorkspaceServer, people: Any) -> None:
    import psycopg

    experiment = portal.experiment_in("vision")
    run = portal.run_in("vision", experiment)
    turned()
    with psycopg.connect(portal.database_url, autocommit=True) as connection:
        connection.execute("UPDATE experiments SET workspace = 'pricing' WHERE experiment_id = %s", [int(experiment)])
    reconciled()
    assert Experiment.objects.get(pk=experiment).team == Team.objects.get(slug="pricing")
    assert Run.objects.get(run_id=run).experiment_id == experiment
    assert run_read(run).run_id == run


def test_what_one_run_is_made_of_is_read_where_it_lies(portal: WorkspaceServer, people: Any) -> None:
    experiment = portal.experiment_in("pricing")
    run = portal.run_in("pricing", experiment, loss=0.25)
    logged = {"experiment_id": experiment, "name": "forest", "source_run_id": run}
    model = portal.within("pricing", "POST", "logged-models", json=logged)["model"]["info"]["model_id"]
    run_touch(run)
    experiment_touch(experiment)
    detail = run_read(run)
    assert (detail.experiment_id, detail.metrics[0].value) == (experiment, 0.25)
    assert [each.model_id for each in models_read(detail)] == [model]
    assert traces_read(detail) == []
    assert json.loads(history_bulk([run], "loss", points=100)[run])["values"] == [0.25]
    note_write(run, "A note.")
    assert run_read(run).note == "A note."
    other = portal.run_in("vision", portal.experiment_in("vision"), loss=0.5)
    both = {run: experiment, other: run_read(other).experiment_id}
    assert set(runs_by_id(both, experiment_ids=list(both.values()))) == set(both)
    curves = history_bulk([run, other], "loss", points=100)
    assert {json.loads(curves[each])["values"][0] for each in both} == {0.25, 0.5}


def test_pages_of_a_run_and_its_files(portal: WorkspaceServer, people: Any) -> None:
    experiment = portal.experiment_in("vision")
    run = portal.run_in("vision", experiment, loss=0.25)
    folder = portal.within("vision", "GET", f"runs/get?run_id={run}")["run"]["info"]["artifact_uri"]
    path = f"{FILES}/artifacts/{folder.removeprefix('mlflow-artifacts:/')}/notes/a.txt"
    assert portal.direct("PUT", path, data=b"what was seen", headers={HEADER: "vision"}).status_code == 200
    Team.objects.get(slug="vision").members.add(people.dana)
    run_touch(run)
    page = browser(people.dana).get(f"/experiments/runs/{run}/")
    assert page.status_code == 200
    assert "loss" in page.content.decode()
    files = browser(people.dana).get(f"/experiments/runs/{run}/artifacts/", {"path": "notes/a.txt"})
    assert "what was seen" in files.content.decode()
    assert browser(people.mallory).get(f"/experiments/runs/{run}/").status_code == 404
    passed: Any = browser(people.dana).get(f"/experiments/runs/{run}/artifacts/file/", {"path": "notes/a.txt"})
    assert requests.get(passed.address, headers=passed.asked, timeout=20).content == b"what was seen"


def test_registered_models_of_two_workspaces_share_a_name(portal: WorkspaceServer, people: Any) -> None:
    name = f"scores-{secrets.token_hex(4)}"
    for place in ("default", "vision", "pricing", "research"):
        portal.model_in(place, name, slipway_team="churn")
        run = portal.run_in(place, portal.experiment_in(place))
        data = {"name": name, "source": f"runs:/{run}/model", "run_id": run, "description": place}
        portal.within(place, "POST", "model-versions/create", json=data)
    assert registry_round()
    rows = {row.name: row.team and row.team.slug for row in RegisteredModel.objects.filter(name__contains=name)}
    assert rows == {
        name: None, f"vision:{name}": "vision", f"pricing:{name}": "pricing", f"research:{name}": None,
    }  # fmt: skip
    told = RegisteredModel.objects.filter(name__contains=name).values_list("name", "versions__description")
    assert {(whose.rpartition(":")[0] or "default", said) for whose, said in told} == {
        (place, place) for place in ("default", "vision", "pricing", "research")
    }
    changed = {"name": name, "version": "1", "alias": "champion"}
    portal.within("vision", "POST", "registered-models/alias", json=changed)
    model = registry_touch(f"vision:{name}")
    assert model is not None
    assert list(model.aliases.values_list("alias", "version")) == [("champion", 1)]
    assert not RegisteredModel.objects.get(name=f"pricing:{name}").aliases.exists()
    portal.within("pricing", "DELETE", "registered-models/delete", json={"name": name})
    assert registry_round()
    assert RegisteredModel.objects.get(name=f"pricing:{name}").gone_at is not None
    assert RegisteredModel.objects.get(name=f"vision:{name}").gone_at is None


def test_a_version_is_registered_and_its_files_are_read_where_its_run_lies(
    portal: WorkspaceServer, people: Any
) -> None:
    experiment = portal.experiment_in("vision")
    run = portal.run_in("vision", experiment)
    logged = {"experiment_id": experiment, "name": "forest", "source_run_id": run}
    info = portal.within("vision", "POST", "logged-models", json=logged)["model"]["info"]
    path = f"{FILES}/artifacts/{info['artifact_uri'].removeprefix('mlflow-artifacts:/')}/MLmodel"
    content = b"flavors: {sklearn: {}}"
    assert portal.direct("PUT", path, data=content, headers={HEADER: "vision"}).status_code == 200
    Team.objects.get(slug="vision").members.add(people.dana)
    run_touch(run)
    row = Run.objects.select_related("experiment__team").get(run_id=run)
    given: dict[str, Any] = {"actor": people.dana, "run": row, "source": info["model_id"]}
    name = f"vision.{secrets.token_hex(4)}"
    made = version_register(**given, name=name, is_new=True, request="first")
    assert (made.name, made.version) == (f"vision:{name}", 1)
    assert version_register(**given, name=made.name, is_new=False, request="second").version == 2
    version = ModelVersion.objects.get(model=made.name, version=1)
    assert version.model.team == row.experiment.team
    version_details_read(version.pk)
    version.refresh_from_db()
    assert (version.details, version.flavors) == ("read", ["sklearn"])


def test_a_call_says_a_models_name_as_mlflow_knows_it(portal: WorkspaceServer) -> None:
    assert workspaces() == ("default", "pricing", "research", "vision")
    assert model_place("vision:a") == ("vision", "a")
    assert model_place("nosuch:a") == ("default", "nosuch:a")
    path = f"{V2}/model-versions/search"
    given = asked_of(path, {"filter": "name = 'vision:it''s'", "max_results": 1}, None)
    assert given == Asked({"filter": "name = 'it''s'", "max_results": 1}, None, "vision", renames=True)
    assert asked_of(f"{V2}/runs/search", None, {"filter": "name = 'vision:x'"}).workspace == ""
    with pytest.raises(TrackerRefused):
        gateway.call("GET", "runs/get", params={"run_id": "0" * 32})


def test_our_own_server_is_not_asked_for_workspaces(
    server: WorkspaceServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MLFLOW_TRACKING_URI, settings.MLFLOW_SERVER_SECRET = "http://127.0.0.1:9", "of-ours"
    monkeypatch.setattr(gateway, "_session", lambda: pytest.fail("it was asked"))
    assert workspaces() == ("",)
    assert asked_of(f"{V2}/runs/get", {"run_id": "a"}, None) == Asked({"run_id": "a"}, None)
