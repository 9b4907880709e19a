from typing import Any

from apps.experiments.api.experiments import ExperimentViewSet
from apps.experiments.api.runs import RunViewSet

routes: list[tuple[str, Any, str]] = [
    ("experiments/runs", RunViewSet, "run"),
    ("experiments", ExperimentViewSet, "experiment"),
]
