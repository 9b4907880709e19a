"""A run at a real MLflow server with everything on it, in the index and of a team; browsers of the cast."""

from dataclasses import dataclass
from typing import Any

from django.test import Client

from apps.accounts.models import Team
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing import run_touch
from tests.experiments.conftest import Server
from tests.experiments.tracker import Tracker


@dataclass
class Study:
    """An experiment of a team, at MLflow and in the index."""

    tracker: Tracker
    experiment: Experiment

    @property
    def server(self) -> Server:
        return self.tracker.server

    def run(self, *, indexed: bool = True, **data: Any) -> str:
        run_id = self.tracker.run(self.experiment.pk, **{"end": 1_762_000_060_000, **data})
        if indexed:
            run_touch(run_id)
        return run_id

    def row(self, run_id: str) -> Run:
        run_touch(run_id)
        return Run.objects.select_related("experiment__team").get(run_id=run_id)

    def put(self, run_id: str, files: dict[str, bytes]) -> None:
        """Files of a run, as a client uploads them."""
        self._put(self.tracker.get(run_id)["info"]["artifact_uri"], files)

    def model(self, run_id: str, files: dict[str, bytes], name: str = "churn") -> str:
        """A logged model of the run, with its files."""
        made = self.tracker.ask(
            "logged-models", experiment_id=self.experiment.pk, name=name, source_run_id=run_id, model_type="sklearn"
        )["model"]["info"]
        self._put(made["artifact_uri"], files)
        self.tracker.ask("runs/outputs", run_id=run_id, models=[{"model_id": made["model_id"], "step": 0}])
        run_touch(run_id)
        return str(made["model_id"])

    def _put(self, uri: str, files: dict[str, bytes]) -> None:
        folder = uri.removeprefix("mlflow-artifacts:/")
        for path, content in files.items():
            address = f"/api/2.0/mlflow-artifacts/artifacts/{folder}/{path}"
            answer = self.server.direct("PUT", address, data=content)
            assert answer.status_code == 200, answer.text


def study_make(tracker: Tracker, team: Team) -> Study:
    number = tracker.experiment()
    return Study(tracker, Experiment.objects.create(id=number, name=f"{team.slug}/study-{number}", team=team))


def browser_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client
