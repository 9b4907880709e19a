"""What the doors of experiments and models are about: a team's experiment, run, view and model, with no MLflow to ask.

Without the server the pages show what the index knows, and a write that MLflow would have to take is a 503 for whoever
may do it; for everybody else it is the 403 or 404 that it always is.
"""

from dataclasses import dataclass

from apps.environments.models import Environment
from apps.experiments.models import Experiment, Run, SavedView
from apps.registry.models import ModelAlias, ModelCard, ModelVersion, RegisteredModel
from tests.experiments.factories import experiment_make, run_make
from tests.factories import People

RUN, OTHER = "a" * 32, "b" * 32
RUNS = f"?run={RUN}&run={OTHER}"


@dataclass
class Tracking:
    experiment: Experiment
    run: Run
    view: SavedView  # dana's own
    version: ModelVersion


def tracking_make(people: People, environment: Environment) -> Tracking:
    experiment = experiment_make(people.vision, "vision/digits", run_count=1, main_metric="auc")
    run = run_make(experiment, run_id=RUN, metrics={"auc": 0.9}, params={"lr": "0.1"}, environment_id=environment.pk)
    run_make(experiment, run_id=OTHER, metrics={"auc": 0.8}, params={"lr": "0.2"})
    view = SavedView.objects.create(
        owner=people.dana, team=people.vision, experiment_id=experiment.pk, name="Best", query="ordering=-metrics.auc"
    )
    model = RegisteredModel.objects.create(
        name="vision.reader", born=1, team=people.vision, owner=people.dana, version_count=1, newest_version=1,
        fingerprint="0" * 32,
    )  # fmt: skip
    version = ModelVersion.objects.create(
        model=model, version=1, run_id=run.run_id, status="READY", fingerprint="0" * 32, details="read"
    )
    ModelAlias.objects.create(model=model, alias="champion", version=1)
    ModelCard.objects.create(model_name=model.name, born=1, number=1, author=people.dana, author_name="dana")
    return Tracking(experiment, run, view, version)


def values(tracking: Tracking) -> list[tuple[str, dict[str, object]]]:
    """For the parts of addresses that vary; the longer beginnings first."""
    experiment, run = tracking.experiment.pk, tracking.run.run_id
    model = {"name": "vision.reader", "model_name": "vision.reader", "number": 1, "version": 1, "alias": "champion"}
    return [
        ("/experiments/runs/", {"run_id": run}),
        ("/experiments/views/", {"pk": tracking.view.pk}),
        ("/experiments/", {"experiment_id": experiment}),
        ("/api/v1/experiments/runs/", {"run_id": run}),
        ("/api/v1/experiments/", {"pk": experiment, "id": experiment, "experiment_id": experiment}),
        ("/models/", model),
        ("/api/v1/models/", model),
    ]


def is_away(template: str, outcome: str) -> bool:
    """Whether this is the answer of a page or call that would have to ask MLflow, which is not there."""
    asks = template.startswith(("/experiments/", "/models/", "/api/v1/experiments/", "/api/v1/models/"))
    return asks and outcome == "503"


QUERIES = {
    "/experiments/compare/": RUNS,
    "/experiments/compare/extras/": RUNS,
    "/experiments/charts/curves/": f"{RUNS}&metric=auc",
    "/experiments/charts/values/": RUNS,
    "/models/register/": f"?run={RUN}",
    "/models/{name}/compare/": "?a=1&b=1",
    "/api/v1/experiments/runs/groups/": "?by=params.lr",
    "/api/v1/models/{model_name}/aliases/{alias}/": "?from_version=1",
}
BODIES: dict[str, dict[str, object]] = {
    "/experiments/{experiment_id}/main-metric/": {"metric": "auc", "goal": "max"},
    "/experiments/bulk/": {"action": "archive", "run": RUN},
    "/experiments/notes/": {"run": RUN, "note": "Better"},
    "/experiments/views/": {"name": "New", "query": "ordering=-metrics.auc"},
    "/experiments/baseline/": {"run": RUN},
    "/experiments/runs/{run_id}/note/": {"note": "Better"},
    "/experiments/runs/{run_id}/recreate/": {"name": "again"},
    "/models/{name}/alias/": {"alias": "champion", "version": "1", "from_version": "1"},
    "/models/{name}/alias/remove/": {"alias": "champion", "from_version": "1"},
    "/models/{name}/card/": {"from_number": "1"},
    "/models/{name}/description/": {"description": "Reads digits", "seen": "x"},
    "/models/register/": {"run": RUN, "request": "r", "new_name": "vision.new"},
    "/api/v1/experiments/runs/{run_id}/note/": {"note": "Better"},
    "/api/v1/experiments/runs/{run_id}/tag/": {"key": "stage", "value": "done"},
    "/api/v1/models/": {"run": RUN, "model": "model", "name": "vision.new"},
    "/api/v1/models/{model_name}/versions/": {"run": RUN, "model": "model"},
    "/api/v1/models/{model_name}/aliases/{alias}/": {"version": 1, "from_version": 1},
    "/api/v1/models/{model_name}/cards/": {"sections": {"limitations": "Digits only"}, "from_number": 1},
}
