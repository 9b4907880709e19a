"""How a call is understood, without a server."""

import json

import pytest

from apps.experiments.mlflow_rules import Kind, NotUnderstood, Reference, artifact_references, call_read, rule_find

API = "/api/2.0/mlflow"


def references(method, path, *, query="", body=None):
    rule = rule_find(method, path)
    assert rule is not None
    text = b"" if body is None else json.dumps(body).encode()
    call = call_read(rule=rule, method=method, path=path, query=query, body=text)
    return {(reference.kind, reference.value) for reference in call.references}


@pytest.mark.parametrize(
    "path",
    [
        f"{API}/webhooks",
        "/api/3.0/mlflow/gateway/secrets/list",
        "/gateway/a/mlflow/invocations",
        "/ajax-api/3.0/mlflow/assistant/config",
        "/ajax-api/2.0/mlflow/runs/search",
        "/api/3.0/mlflow/workspaces",
        "/graphql",
        "/get-artifact",
        f"{API}/runs/get/",
        f"{API}//runs/get",
        "/",
    ],
)
def test_what_is_not_named_does_not_exist(path):
    assert rule_find("GET", path) is None
    assert rule_find("POST", path) is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (
            {"run_id": "r1", "metrics": [{"key": "a", "value": 1, "model_id": "m-1"}]},
            {("run", "r1"), ("logged model", "m-1")},
        ),
        ({"runId": "r1", "run_uuid": "r2"}, {("run", "r1"), ("run", "r2")}),
        ({"run_id": "", "experiment_id": 7}, {("experiment", "7")}),
        ({"run_id": "r1", "tags": [{"key": "name", "value": "x"}]}, {("run", "r1")}),
        (json.dumps({"run_id": "encoded-twice"}), {("run", "encoded-twice")}),
    ],
)
def test_everything_a_body_speaks_about_is_found(body, found):
    assert references("POST", f"{API}/runs/log-batch", body=body) == found


def test_ids_in_lists_paths_and_queries_are_found():
    assert references("POST", f"{API}/runs/search", body={"experimentIds": ["1", "2"]}) == {
        ("experiment", "1"),
        ("experiment", "2"),
    }
    assert references("GET", f"{API}/logged-models/m-1") == {("logged model", "m-1")}
    assert references("GET", f"{API}/runs/get", query="run_id=r1&runUuid=r2") == {("run", "r1"), ("run", "r2")}
    assert references("GET", f"{API}/runs/get", query="run_id=mine", body={"run_id": "theirs"}) == {
        ("run", "mine"),
        ("run", "theirs"),
    }
    trace = {"trace": {"trace_info": {"trace_location": {"mlflow_experiment": {"experiment_id": "9"}}}}}
    assert references("POST", "/api/3.0/mlflow/traces", body=trace) == {("experiment", "9")}


def test_a_models_source_is_part_of_what_a_version_speaks_about():
    path = f"{API}/model-versions/create"
    body = {"name": "m", "source": "mlflow-artifacts:/5/abc/artifacts/model"}
    assert references("POST", path, body=body) == {("registered model", "m"), ("experiment", "5")}
    body = {"name": "m", "source": "models:/m-1", "model_id": "m-1"}
    assert references("POST", path, body=body) == {("registered model", "m"), ("logged model", "m-1")}
    body = {"name": "m", "source": "models:/other@champion"}
    assert references("POST", path, body=body) == {("registered model", "m"), ("registered model", "other")}
    for source in (
        "file:///etc",
        "/etc/passwd",
        "mlflow-artifacts://host/5/x",
        "mlflow-artifacts:/5/../6/x",
        "ftp://x",
    ):
        with pytest.raises(NotUnderstood):
            references("POST", path, body={"name": "m", "source": source})


@pytest.mark.parametrize(
    "path",
    [
        "",
        "..",
        "5/../6/x",
        "5/%2e%2e/6",
        "5/%252e%252e/6",
        "5//x",
        "5\\..\\6",
        "x/5",
        "٥/x",
        "workspaces",
        "workspaces/vision",
        "workspaces/vision/x",
        "workspaces/../5",
        "workspaces//5",
    ],
)
def test_an_artifact_path_stays_in_its_experiment(path):
    with pytest.raises(NotUnderstood):
        artifact_references(path)


def test_an_artifact_path_names_its_experiment():
    path = "/api/2.0/mlflow-artifacts/artifacts"
    assert references("PUT", f"{path}/12/run/artifacts/a b%.txt") == {("experiment", "12")}
    assert references("GET", path, query="path=12%2Frun") == {("experiment", "12")}
    named = {("experiment", "12"), ("workspace", "vision")}
    assert references("PUT", f"{path}/workspaces/vision/12/run/a.txt") == named
    assert references("PUT", f"{path}/workspaces%2Fvision%252F12/a.txt") == named


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b'"x"', b"7"])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(NotUnderstood):
        call_read(
            rule=rule_find("POST", f"{API}/runs/search"), method="POST", path=f"{API}/runs/search", query="", body=body
        )


def test_a_name_is_a_models_only_where_models_are_meant():
    assert references("POST", f"{API}/registered-models/get-latest-versions", body={"name": "m"}) == {
        (Kind.REGISTERED_MODEL, "m")
    }
    assert references("POST", f"{API}/logged-models", body={"experiment_id": "1", "name": "m"}) == {("experiment", "1")}
    assert Reference(Kind.RUN, "1") != Reference(Kind.EXPERIMENT, "1")
