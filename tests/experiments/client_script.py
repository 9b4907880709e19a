"""What people do with MLflow's client, as they write it; each step prints its name and what came of it as JSON."""

import json
import os
import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
features = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0) % 3})
target = (features["a"] > 9).astype(int)


def told(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


def runs(name):
    with mlflow.start_run(run_name="by hand", description="A note.") as run:
        mlflow.log_params({"lr": 0.1, "depth": 3})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"nothing": float("nan"), "endless": float("inf")})
        mlflow.set_tags({"kind": "test", "a tag: of / mine": "x"})
        with mlflow.start_run(run_name="child", nested=True):
            mlflow.log_metric("loss", 0.5)
    metrics = [Metric("many", value, 1_790_000_000_000 + value, value) for value in range(300)]
    client.log_batch(run.info.run_id, metrics, [Param("width", "9")], [RunTag("batch", "yes")])
    history = client.get_metric_history(run.info.run_id, "many")
    found = mlflow.search_runs(experiment_names=[name], filter_string="tags.kind = 'test'", order_by=["metrics.loss"])
    told("runs", history=len(history), found=len(found), lr=found.iloc[0]["params.lr"])
    client.delete_run(run.info.run_id)
    client.restore_run(run.info.run_id)
    told("restored", stage=client.get_run(run.info.run_id).info.lifecycle_stage)
    return run.info.run_id


def datasets(run_id):
    with mlflow.start_run(run_id=run_id):
        mlflow.log_input(mlflow.data.from_pandas(features, name="rows"), context="training", tags={"split": "a"})
    inputs = client.get_run(run_id).inputs.dataset_inputs
    told("datasets", names=[each.dataset.name for each in inputs], digest=inputs[0].dataset.digest)


def autologged(name):
    mlflow.sklearn.autolog(log_datasets=True)
    with mlflow.start_run(run_name="autolog") as run:
        LogisticRegression().fit(features, target)
    mlflow.sklearn.autolog(disable=True)
    data = client.get_run(run.info.run_id)
    models = mlflow.search_logged_models(experiment_ids=[data.info.experiment_id], output_format="list")
    told("autolog", params=len(data.data.params), inputs=len(data.inputs.dataset_inputs), models=len(models))


def models(run_id, registered):
    model = LogisticRegression().fit(features, target)
    signature = infer_signature(features, model.predict(features))
    with mlflow.start_run(run_id=run_id):
        info = mlflow.sklearn.log_model(
            model, name="forest", signature=signature, input_example=features.head(2), registered_model_name=registered
        )
    logged = mlflow.get_logged_model(info.model_id)
    client.set_logged_model_tags(info.model_id, {"stage": "candidate"})
    client.delete_logged_model_tag(info.model_id, "stage")
    client.set_registered_model_alias(registered, "champion", 1)
    client.set_model_version_tag(registered, 1, "tier", "gold")
    client.update_model_version(registered, 1, description="The first.")
    copied = client.copy_model_version(f"models:/{registered}@champion", f"{registered}-copy")
    again = mlflow.register_model(f"runs:/{run_id}/forest", registered)
    by_alias = client.get_model_version_by_alias(registered, "champion")
    versions = client.search_model_versions(f"name = '{registered}'")
    loaded = mlflow.sklearn.load_model(f"models:/{registered}@champion")
    same = bool((loaded.predict(features) == model.predict(features)).all())
    names = [each.name for each in client.search_registered_models(f"name LIKE '{registered}%'")]
    told(
        "models", status=logged.status.value, alias=by_alias.version, versions=sorted(int(v.version) for v in versions),
        again=int(again.version), copied=int(copied.version), same=same, names=sorted(names),
        aliases=client.get_registered_model(registered).aliases,
    )  # fmt: skip
    client.delete_registered_model_alias(registered, "champion")
    client.delete_model_version(registered, "2")
    client.delete_registered_model(f"{registered}-copy")


def prompts(name):
    mlflow.register_prompt(name=name, template="Say {{what}}.")
    told("prompts", said=mlflow.load_prompt(f"prompts:/{name}/1").format(what="hello"))


def files(run_id):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "deep").mkdir()
        (place / "deep" / "ä b%.txt").write_text("deep")
        (place / "large.bin").write_bytes(os.urandom(12 * 2**20))
        client.log_artifacts(run_id, folder, "things")
        client.log_text(run_id, "text", "notes/a.txt")
        client.log_dict(run_id, {"a": 1}, "notes/a.json")
        client.log_table(run_id, {"a": [1, 2]}, "notes/table.json")
        client.log_image(run_id, np.zeros((8, 8, 3), dtype=np.uint8), key="picture", step=1)
        listed = sorted(each.path for each in client.list_artifacts(run_id, "things"))
        got = Path(client.download_artifacts(run_id, "things"))
        same = (got / "large.bin").read_bytes() == (place / "large.bin").read_bytes()
        deep = (got / "deep" / "ä b%.txt").read_text()
    told("files", listed=listed, same=same, deep=deep, text=mlflow.artifacts.load_text(f"runs:/{run_id}/notes/a.txt"))


def traces(name):
    @mlflow.trace
    def answer(question):
        with mlflow.start_span("look up") as span:
            span.set_inputs({"question": question})
            span.set_outputs("found")
        mlflow.update_current_trace(tags={"topic": "birds"})
        return "an answer"

    answer("what?")
    mlflow.flush_trace_async_logging()
    trace_id = mlflow.get_last_active_trace_id()
    trace = mlflow.get_trace(trace_id)
    mlflow.log_feedback(trace_id=trace_id, name="right", value=True, rationale="It is.")
    mlflow.log_expectation(trace_id=trace_id, name="wanted", value={"model_id": "anything", "run_id": 3})
    mlflow.set_trace_tag(trace_id, "kind", "test")
    experiment_id = mlflow.get_experiment_by_name(name).experiment_id
    found = mlflow.search_traces(locations=[experiment_id], filter_string="tags.topic = 'birds'", return_type="list")
    seen = mlflow.get_trace(trace_id).info
    told("traces", spans=len(trace.data.spans), found=len(found), judged=sorted(a.name for a in seen.assessments),
         tag=seen.tags.get("kind"))  # fmt: skip
    told("traces deleted", count=client.delete_traces(experiment_id, trace_ids=[trace_id]))


def main(experiment, registered):
    mlflow.set_experiment(experiment)
    mlflow.set_experiment_tag("area", "birds")
    run_id = runs(experiment)
    datasets(run_id)
    autologged(experiment)
    models(run_id, registered)
    prompts(f"{registered}-prompt")
    files(run_id)
    traces(experiment)
    told("experiments", names=[each.name for each in mlflow.search_experiments(filter_string="tags.area = 'birds'")])


if __name__ == "__main__":
    main(*sys.argv[1:])
