"""Fits the demo's estimators and logs them. Importing this takes seconds: MLflow and scikit-learn."""

import random
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient
from sklearn import datasets, ensemble, linear_model, metrics, neighbors, neural_network, svm
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from apps.experiments.demo.studies import Study, Trial

SEED = 7

ESTIMATORS: dict[str, Any] = {
    "logistic-regression": lambda **p: linear_model.LogisticRegression(max_iter=500, random_state=SEED, **p),
    "ridge": lambda **p: linear_model.Ridge(random_state=SEED, **p),
    "lasso": lambda **p: linear_model.Lasso(random_state=SEED, **p),
    "random-forest": lambda **p: ensemble.RandomForestClassifier(random_state=SEED, **p),
    "forest-regressor": lambda **p: ensemble.RandomForestRegressor(random_state=SEED, **p),
    "boosting": lambda **p: ensemble.GradientBoostingClassifier(random_state=SEED, **p),
    "boosting-regressor": lambda **p: ensemble.GradientBoostingRegressor(random_state=SEED, **p),
    "nearest-neighbours": neighbors.KNeighborsClassifier,
    "svc": lambda **p: svm.SVC(random_state=SEED, **p),
    "perceptron": lambda **p: neural_network.MLPClassifier(max_iter=1, warm_start=True, random_state=SEED, **p),
}
# Estimators that are trained in rounds log a curve; the number is the rounds.
ROUNDS = {"perceptron": 15}
LOADERS = {
    "digits": datasets.load_digits,
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast-cancer": datasets.load_breast_cancer,
    "diabetes": datasets.load_diabetes,
}


def server_secret_send(secret: str) -> None:
    """Adds the server's secret to every request of this process, for a server that is reached without the portal."""
    from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
    from mlflow.tracking.request_header.registry import _request_header_provider_registry

    class Secret(RequestHeaderProvider):
        def in_context(self) -> bool:
            return True

        def request_headers(self) -> dict[str, str]:
            return {"X-Slipway-MLflow-Secret": secret}

    _request_header_provider_registry.register(Secret)


def training_rounds(trial: Trial, study: Study, parts: tuple[Any, ...]) -> Iterator[tuple[int, Any, float]]:
    """Fits, giving (round, fitted pipeline, training score) after every round."""
    train_x, _, train_y, _ = parts
    estimator = ESTIMATORS[trial.estimator](**trial.parameters)
    pipeline = make_pipeline(StandardScaler(), estimator)
    for number in range(1, ROUNDS.get(trial.estimator, 1) + 1):
        pipeline.fit(train_x, train_y)
        yield number, pipeline, float(pipeline.score(train_x, train_y))


def measured(study: Study, pipeline: Any, test_x: Any, test_y: Any) -> dict[str, float]:
    guessed = pipeline.predict(test_x)
    if study.is_regression:
        return {
            "val_rmse": float(np.sqrt(metrics.mean_squared_error(test_y, guessed))),
            "val_mae": float(metrics.mean_absolute_error(test_y, guessed)),
            "val_r2": float(metrics.r2_score(test_y, guessed)),
        }
    return {
        "val_accuracy": float(metrics.accuracy_score(test_y, guessed)),
        "val_f1": float(metrics.f1_score(test_y, guessed, average="macro")),
        "val_recall": float(metrics.recall_score(test_y, guessed, average="macro")),
    }


def trial_run(client: MlflowClient, experiment_id: str, study: Study, trial: Trial, parts: tuple[Any, ...]) -> None:
    """One run from start to end; its tags name it, so that the next start knows it has been made."""
    tags = {
        "slipway.team": study.team,
        "slipway.user": study.person,
        "slipway.demo": trial.key,
        "mlflow.user": study.person,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "demo workspace",
        "data": study.data,
    }
    run = client.create_run(experiment_id, tags=tags, run_name=trial.title)
    run_id, status = run.info.run_id, "FAILED"
    try:
        began = time.perf_counter()
        logged: list[Metric] = []
        for number, pipeline, score in training_rounds(trial, study, parts):
            now = int(time.time() * 1000)
            values = {"train_score": score} | measured(study, pipeline, parts[1], parts[3])
            logged += [Metric(key, value, now, number) for key, value in values.items()]
        logged.append(Metric("fit_seconds", time.perf_counter() - began, int(time.time() * 1000), 1))
        given = {"estimator": trial.estimator, "test_share": 0.25, "seed": SEED, **trial.parameters}
        client.log_batch(run_id, logged, [Param(key, str(value)) for key, value in given.items()], [])
        if trial.keep_model:
            model_id = model_log(run_id, pipeline, parts[1])
            client.log_batch(run_id, tags=[RunTag("kept", "true")])
            model_register(client, study, run_id, model_id)
        status = "FINISHED"
    finally:
        client.set_terminated(run_id, status)


def model_log(run_id: str, pipeline: Any, examples: Any) -> str:
    """Through the fluent API, which writes signature, input example and requirements beside the model; its id."""
    import mlflow
    import sklearn
    from mlflow.models import infer_signature

    with mlflow.start_run(run_id=run_id):
        logged = mlflow.sklearn.log_model(
            pipeline,
            name="model",
            signature=infer_signature(examples, pipeline.predict(examples)),
            input_example=examples[:3],
            # Given, because finding them out starts another Python and loads the model there.
            pip_requirements=[f"scikit-learn=={sklearn.__version__}", f"numpy=={np.__version__}"],
            serialization_format="cloudpickle",
        )
    return str(logged.model_id)


def model_register(client: MlflowClient, study: Study, run_id: str, model_id: str) -> None:
    """As the team's model, unless somebody has it already. Its alias is set by the portal, which says who did."""
    name = study.model_name
    if client.search_registered_models(f"name = '{name}'"):
        return
    client.create_registered_model(name, {"slipway.team": study.team, "slipway.user": study.person}, study.note)
    client.create_model_version(name, f"models:/{model_id}", run_id, model_id=model_id)


def study_run(client: MlflowClient, study: Study) -> int:
    """Makes what is missing of one experiment; returns the number of runs made."""
    experiment = client.get_experiment_by_name(study.name)
    if experiment is not None and experiment.lifecycle_stage != "active":
        return 0  # Somebody has put it away.
    tags = {"slipway.team": study.team, "slipway.demo": "true", "mlflow.note.content": study.note}
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(study.name, tags=tags)
    known = client.search_runs([experiment_id], "attributes.status = 'FINISHED'", max_results=1000)
    made = {run.data.tags.get("slipway.demo") for run in known}
    missing = [trial for trial in study.trials if trial.key not in made]
    if not missing:
        return 0
    x, y = LOADERS[study.data](return_X_y=True)
    # One label in twenty is drawn anew, as in real life: without it nearly every run of these sets scores the same.
    noise = random.Random(SEED)  # noqa: S311 - the same at every start
    if not study.is_regression:
        labels = list(set(y.tolist()))
        y = np.array([noise.choice(labels) if noise.random() < 0.05 else label for label in y])
    parts = train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=None if study.is_regression else y)
    for trial in missing:
        trial_run(client, experiment_id, study, trial, tuple(parts))
    return len(missing)
