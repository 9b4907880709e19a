"""Writing the index. `rounds`, `importing` and `reconciling` say when MLflow is read."""

from apps.experiments.services.indexing.aggregates import aggregates_write
from apps.experiments.services.indexing.rebuilding import index_rebuild
from apps.experiments.services.indexing.touching import experiment_touch, run_touch, runs_touch
from apps.experiments.services.indexing.writing import Written, index_runs

__all__ = ["Written", "aggregates_write", "experiment_touch", "index_rebuild", "index_runs", "run_touch", "runs_touch"]
