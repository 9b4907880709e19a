"""Logs real scikit-learn models to the MLflow server of the environment and prints their ids as JSON.

Run as a process of its own: MLflow is imported nowhere in the portal, nor in its tests.
"""

import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")

import mlflow  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
from mlflow.models import ModelSignature, infer_signature  # noqa: E402
from mlflow.types import ColSpec, Schema  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

from apps.experiments.demo.training import server_secret_send  # noqa: E402

PINS = ["scikit-learn", "numpy", "pandas"]


def frame(columns: list[str]) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(7)
    values = random.normal(size=(60, len(columns)))
    return pd.DataFrame(values, columns=columns), (values[:, 0] > 0).astype(int)


def requirements() -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in PINS]


def run_log(experiment_id: str, tags: dict[str, str], columns: list[str], *, tensor: bool, accuracy: float) -> dict:
    data, labels = frame(columns)
    with mlflow.start_run(experiment_id=experiment_id, tags=tags) as run:
        mlflow.log_params({"C": 1.0, "columns": len(columns)})
        mlflow.log_metrics({"accuracy": accuracy, "loss": 1 - accuracy})
        source = mlflow.data.from_pandas(data.assign(label=labels), name="customers", targets="label")
        mlflow.log_input(source, context="training")
        inputs = data.to_numpy() if tensor else data
        model = LogisticRegression().fit(inputs, labels)
        signature = infer_signature(inputs, model.predict(inputs))
        if not tensor:
            specs = [ColSpec("double", name, required=name != "tenure") for name in columns]
            signature = ModelSignature(inputs=Schema(specs), outputs=Schema([ColSpec("long")]))
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            signature=signature,
            input_example=inputs[:2],
            pip_requirements=requirements(),
        )
        return {"run_id": run.info.run_id, "model_id": logged.model_id, "uri": logged.model_uri}


def main() -> None:
    team, person = sys.argv[1], sys.argv[2]
    server_secret_send(os.environ["MLFLOW_SERVER_SECRET"])
    tags = {"slipway.team": team, "slipway.user": person}
    experiment = mlflow.get_experiment_by_name(f"{team}/models")
    own = {"slipway.team": team}
    experiment_id = experiment.experiment_id if experiment else mlflow.create_experiment(f"{team}/models", tags=own)
    made = {
        "first": run_log(experiment_id, tags, ["age", "income", "tenure"], tensor=False, accuracy=0.81),
        "second": run_log(experiment_id, tags, ["age", "income", "visits"], tensor=False, accuracy=0.86),
        "tensor": run_log(experiment_id, tags, ["a", "b"], tensor=True, accuracy=0.9),
        "experiment_id": experiment_id,
    }
    print(json.dumps(made))


if __name__ == "__main__":
    main()
