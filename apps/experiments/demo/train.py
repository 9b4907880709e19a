"""Trains the demo workspace's models and logs them to MLflow: `python -m apps.experiments.demo.train`.

Run as a process of its own, because importing MLflow and scikit-learn is slow and their settings are global. The
server is named by MLFLOW_TRACKING_URI, and reached with MLFLOW_SERVER_SECRET or MLFLOW_TRACKING_TOKEN. What is there is
left alone: a second start does nothing, in a moment; a half-filled experiment gets the runs it lacks.
"""

import json
import logging
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from typing import Any

from apps.experiments.demo.studies import STUDIES, Study


def ask(path: str, *, data: dict[str, Any] | None = None) -> dict[str, Any]:
    """One call of MLflow's REST API, without MLflow; empty where the thing does not exist."""
    headers = {"Content-Type": "application/json"}
    if secret := os.environ.get("MLFLOW_SERVER_SECRET"):
        headers["X-Slipway-MLflow-Secret"] = secret
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    url = os.environ["MLFLOW_TRACKING_URI"].rstrip("/") + "/api/2.0/mlflow/" + path
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - an http address by setting
    try:
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return {}
        raise


def is_complete(study: Study) -> bool:
    """Whether every run of it is finished, or somebody has put the experiment away."""
    name = urllib.parse.quote(study.name, safe="")
    experiment = ask(f"experiments/get-by-name?experiment_name={name}").get("experiment")
    if experiment is None:
        return False
    if experiment.get("lifecycle_stage") != "active":
        return True
    wanted = {"experiment_ids": [experiment["experiment_id"]], "filter": "attributes.status = 'FINISHED'"}
    runs = ask("runs/search", data={**wanted, "max_results": 1000}).get("runs", [])
    made = {tag["value"] for run in runs for tag in run["data"].get("tags", []) if tag["key"] == "slipway.demo"}
    return made >= {trial.key for trial in study.trials}


def main() -> int:
    began, made = time.monotonic(), 0
    missing = [study for study in STUDIES if not is_complete(study)]
    if missing:
        os.environ |= {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            # The cores are shared with a portal that is starting up.
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        warnings.filterwarnings("ignore")
        from mlflow.tracking import MlflowClient

        from apps.experiments.demo import training

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        if secret := os.environ.get("MLFLOW_SERVER_SECRET"):
            training.server_secret_send(secret)
        for study in missing:
            count = training.study_run(MlflowClient(), study)
            made += count
            print(f"{study.name}: {count} runs", flush=True)
    print(f"{made} runs made in {time.monotonic() - began:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
