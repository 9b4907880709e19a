"""The portal's route to MLflow: who may do what. Everything goes over real sockets to a real MLflow server."""

import asyncio
import base64
import http.client
import secrets
import threading

import pytest
import requests
import uvicorn
from aiohttp import ClientSession, web

from apps.core import proxying
from apps.experiments.mlflow_proxy import MlflowProxy
from tests.core.serving import aiohttp_served, asgi_served, free_port
from tests.experiments.proxy_process import authenticate

pytestmark = [pytest.mark.slow]
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(scope="module")
def vision(mlflow):
    """An experiment of team vision with one run."""
    experiment_id = mlflow.experiment("dana-laptop", "vision/reading")
    return experiment_id, mlflow.run("dana-laptop", experiment_id)


def test_without_a_good_token_the_client_is_told_what_to_do(mlflow):
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic !"},
        {"Cookie": "slipway_session=x"},
    ):
        answer = requests.get(f"{mlflow.proxy}/api/2.0/mlflow/experiments/search", headers=headers, timeout=5)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        problem = answer.json()
        assert problem["error_code"] == "UNAUTHENTICATED"
        assert "your account page (http://localhost:8000/account/)" in problem["message"]
        assert (problem["status"], problem["code"]) == (401, "experiments:unauthenticated")


def test_a_token_works_as_the_password_of_basic_authentication(mlflow):
    basic = "Basic " + base64.b64encode(b"anything:dana-laptop").decode()
    answer = requests.get(f"{mlflow.proxy}/version", headers={"Authorization": basic}, timeout=5)
    assert (answer.status_code, answer.text[:2]) == (200, "3.")


def test_a_token_that_may_only_read_reads_and_searches(mlflow, vision):
    experiment_id, run_id = vision
    reader = "dana-dashboard"
    assert mlflow.ask(reader, "GET", f"runs/get?run_id={run_id}").status_code == 200
    found = mlflow.ask(reader, "POST", "runs/search", json={"experiment_ids": [experiment_id]})
    assert [run["info"]["run_id"] for run in found.json()["runs"]] == [run_id]
    assert mlflow.ask(reader, "POST", "experiments/search", json={"max_results": 5}).status_code == 200


def test_a_token_that_may_only_read_changes_nothing(mlflow, vision):
    experiment_id, run_id = vision
    for method, path, options in (
        ("POST", "runs/create", {"json": {"experiment_id": experiment_id}}),
        ("POST", "runs/log-metric", {"json": {"run_id": run_id, "key": "a", "value": 1, "timestamp": 1}}),
        ("POST", "experiments/create", {"json": {"name": "vision/x"}}),
        ("PUT", f"{ARTIFACTS}/{experiment_id}/{run_id}/artifacts/a.txt", {"data": b"x"}),
        ("DELETE", f"{ARTIFACTS}/{experiment_id}/{run_id}/artifacts/a.txt", {}),
    ):
        answer = mlflow.ask("dana-dashboard", method, path, **options)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
        assert "scope write" in answer.json()["message"]


def test_another_teams_things_do_not_exist(mlflow, vision):
    experiment_id, run_id = vision
    model = mlflow.ask("dana-laptop", "POST", "logged-models", json={"experiment_id": experiment_id, "name": "m"})
    model_id = model.json()["model"]["info"]["model_id"]
    name = mlflow.ask("dana-laptop", "GET", f"experiments/get?experiment_id={experiment_id}").json()["experiment"][
        "name"
    ]
    for method, path, options in (
        ("GET", f"experiments/get?experiment_id={experiment_id}", {}),
        ("GET", f"experiments/get-by-name?experiment_name={name}", {}),
        ("GET", f"runs/get?run_id={run_id}", {}),
        ("GET", f"runs/get?run_uuid={run_id}", {}),
        ("GET", "runs/get", {"json": {"runId": run_id}}),
        ("GET", f"artifacts/list?run_id={run_id}", {}),
        ("GET", f"metrics/get-history?run_id={run_id}&metric_key=a", {}),
        ("GET", f"logged-models/{model_id}", {}),
        ("GET", f"{ARTIFACTS}/{experiment_id}/{run_id}/artifacts/a.txt", {}),
        ("GET", f"{ARTIFACTS}?path={experiment_id}", {}),
        ("PUT", f"{ARTIFACTS}/{experiment_id}/x.txt", {"data": b"x"}),
        ("POST", "runs/search", {"json": {"experiment_ids": [experiment_id]}}),
        ("POST", "runs/search", {"json": {"experimentIds": [experiment_id]}}),
        ("POST", "runs/create", {"json": {"experiment_id": experiment_id}}),
        ("POST", "runs/log-batch", {"json": {"run_id": run_id, "params": [{"key": "a", "value": "b"}]}}),
        ("POST", "runs/delete", {"json": {"run_id": run_id}}),
        ("POST", "experiments/delete", {"json": {"experiment_id": experiment_id}}),
        (
            "POST",
            "experiments/set-experiment-tag",
            {"json": {"experiment_id": experiment_id, "key": "a", "value": "b"}},
        ),
        ("POST", "logged-models/search", {"json": {"experiment_ids": [experiment_id]}}),
    ):
        answer = mlflow.ask("mallory", method, path, **options)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST"), (
            path,
            answer.text,
        )


def test_what_belongs_to_two_teams_needs_both(mlflow, vision):
    experiment_id, _ = vision
    own = mlflow.experiment("mallory", "pricing/own")
    both = {"json": {"experiment_ids": [own, experiment_id]}}
    assert mlflow.ask("mallory", "POST", "runs/search", **both).status_code == 404
    assert mlflow.ask("mallory", "POST", "runs/search", json={"experiment_ids": [own]}).status_code == 200


def test_a_search_names_its_experiments(mlflow):
    answer = mlflow.ask("mallory", "POST", "runs/search", json={"filter": "params.a = 'b'"})
    assert answer.status_code == 400
    assert mlflow.ask("mallory", "POST", "runs/search", json={"experiment_ids": [""]}).status_code == 400


def team_named(experiment):
    """By its tag, else by its name: other tests of this server make some that carry another team's tag."""
    tags = {tag["key"]: tag["value"] for tag in experiment.get("tags", [])}
    return tags.get("slipway.team") or experiment["name"].partition("/")[0]


def test_searches_for_experiments_show_the_callers_teams_only(mlflow, vision):
    mlflow.experiment("mallory", "pricing/mine")

    def teams(token, method="POST", **options):
        answer = mlflow.ask(token, method, "experiments/search", **options).json()
        return {team_named(experiment) for experiment in answer["experiments"]}

    wanted = {"max_results": 500}
    assert teams("mallory", json=wanted) == {"pricing"}
    assert teams("mallory", "GET", params=wanted) == {"pricing"}
    assert teams("dana-notebook", json=wanted) == {"vision"}
    assert teams("ada", json=wanted) >= {"vision", "pricing", "Default"}


def test_an_auditor_sees_everything_and_changes_nothing(mlflow, vision):
    experiment_id, run_id = vision
    assert mlflow.ask("ada", "GET", f"runs/get?run_id={run_id}").status_code == 200
    assert mlflow.ask("ada", "POST", "runs/create", json={"experiment_id": experiment_id}).status_code == 403


@pytest.mark.parametrize("name", ["vision/x", "plain", "pricing", "pricing/", "/x", "", "pricing /x"])
def test_an_experiments_name_starts_with_a_team_of_the_caller(mlflow, name):
    answer = mlflow.ask("mallory", "POST", "experiments/create", json={"name": name})
    assert (answer.status_code, answer.json()["error_code"]) == (403, "PERMISSION_DENIED")
    assert '"pricing/..."' in answer.json()["message"]


def test_an_experiment_carries_its_teams_tag_whatever_the_client_says(mlflow):
    tags = [{"key": "slipway.team", "value": "vision"}, {"key": "kept", "value": "1"}]
    name = f"pricing/{secrets.token_hex(4)}"
    made = mlflow.ask("mallory", "POST", "experiments/create", json={"name": name, "tags": tags}).json()
    experiment = mlflow.ask("mallory", "GET", f"experiments/get?experiment_id={made['experiment_id']}").json()
    found = {tag["key"]: tag["value"] for tag in experiment["experiment"]["tags"]}
    assert (found["slipway.team"], found["kept"]) == ("pricing", "1")


def test_nobody_chooses_where_artifacts_lie(mlflow):
    for key in ("artifact_location", "artifactLocation"):
        body = {"name": "pricing/a", key: "file:///etc"}
        assert mlflow.ask("mallory", "POST", "experiments/create", json=body).status_code == 400


def test_an_experiment_cannot_be_moved_to_another_team(mlflow):
    experiment_id = mlflow.experiment("mallory", "pricing/moving")
    for path, body in (
        ("experiments/update", {"new_name": "vision/moving"}),
        ("experiments/update", {"newName": "vision/moving"}),
        ("experiments/set-experiment-tag", {"key": "slipway.team", "value": "vision"}),
        ("experiments/delete-experiment-tag", {"key": "slipway.team"}),
    ):
        answer = mlflow.ask("mallory", "POST", path, json={"experiment_id": experiment_id, **body})
        assert answer.status_code == 403, path
    renamed = {"experiment_id": experiment_id, "new_name": f"pricing/{secrets.token_hex(4)}"}
    assert mlflow.ask("mallory", "POST", "experiments/update", json=renamed).status_code == 200


def test_a_run_says_truly_who_made_it_and_where(mlflow, vision):
    claims = {
        "slipway.user": "mira",
        "slipway.team": "churn",
        "slipway.environment_id": "other",
        "slipway.plan_hash": "1",
    }
    tags = [{"key": key, "value": value} for key, value in claims.items()]
    run_id = mlflow.run("dana-notebook", vision[0], tags=tags)
    found = mlflow.tags(run_id)
    assert found["slipway.user"] == "dana"
    assert found["slipway.team"] == "vision"
    assert found["slipway.environment_id"] == "environment-1"
    assert found["slipway.plan_hash"] == "1", "the plugin's own tags stay"
    assert "slipway.environment_id" not in mlflow.tags(mlflow.run("dana-laptop", vision[0], tags=tags))
    for path, body in (
        ("runs/set-tag", {"key": "slipway.user", "value": "mira"}),
        ("runs/delete-tag", {"key": "slipway.user"}),
        ("runs/log-batch", {"tags": [{"key": "slipway.environment_id", "value": "x"}]}),
    ):
        assert mlflow.ask("dana-notebook", "POST", path, json={"run_id": run_id, **body}).status_code == 403


def test_a_run_without_an_experiment_is_told_how_to_name_one(mlflow):
    answer = mlflow.ask("mallory", "POST", "runs/create", json={"experiment_id": "0"})
    assert answer.status_code == 403
    assert 'mlflow.set_experiment("pricing/my-experiment")' in answer.json()["message"]


def test_registered_models_belong_to_teams(mlflow):
    name = f"pricing.{secrets.token_hex(4)}"
    assert mlflow.ask("mallory", "POST", "registered-models/create", json={"name": name}).status_code == 200
    alias = {"name": name, "alias": "champion", "version": "1"}
    for method, path, options in (
        ("GET", f"registered-models/get?name={name}", {}),
        ("POST", "registered-models/alias", {"json": alias}),
        ("DELETE", "registered-models/delete", {"json": {"name": name}}),
        ("POST", "model-versions/create", {"json": {"name": name, "source": "models:/m-1"}}),
    ):
        assert mlflow.ask("dana-laptop", method, path, **options).status_code == 404, path
    seen = mlflow.ask("dana-laptop", "GET", "registered-models/search?max_results=100").json()
    assert name not in [model["name"] for model in seen.get("registered_models", [])]
    seen = mlflow.ask("mallory", "GET", "registered-models/search?max_results=100").json()
    assert name in [model["name"] for model in seen["registered_models"]]
    body = {"name": name, "key": "slipway.team", "value": "vision"}
    assert mlflow.ask("mallory", "POST", "registered-models/set-tag", json=body).status_code == 403


def test_someone_in_two_teams_says_whose_a_model_is(mlflow):
    name = secrets.token_hex(4)
    answer = mlflow.ask("dana-laptop", "POST", "registered-models/create", json={"name": name})
    assert answer.status_code == 403
    assert f'"churn.{name}" or "vision.{name}"' in answer.json()["message"]
    named = mlflow.ask("dana-laptop", "POST", "registered-models/create", json={"name": f"churn.{name}"})
    assert named.status_code == 200
    assert mlflow.ask("dana-notebook", "POST", "registered-models/create", json={"name": name}).status_code == 200


def test_calls_that_reach_beyond_tracking_are_not_offered(mlflow):
    for path in (
        "/ajax-api/3.0/mlflow/assistant/config",
        "/api/2.0/mlflow/webhooks",
        "/api/3.0/mlflow/gateway/secrets/list",
        "/",
    ):
        answer = mlflow.ask("dana-laptop", "GET", path)
        assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")


def test_paths_cannot_be_written_around_the_rules(mlflow, vision):
    experiment_id, _ = vision
    own = mlflow.experiment("mallory", "pricing/paths")
    host, _, port = mlflow.proxy.removeprefix("http://").removesuffix("/mlflow").partition(":")
    for path in (
        f"/mlflow{ARTIFACTS}/{own}/../{experiment_id}/x",
        f"/mlflow{ARTIFACTS}/{own}/%2e%2e/{experiment_id}/x",
        f"/mlflow{ARTIFACTS}/{own}/%252e%252e/{experiment_id}/x",
        "/mlflow/api/2.0/mlflow/runs/../webhooks",
        "/mlflow/../mlflow/api/2.0/mlflow/webhooks",
        "/mlflow/%61jax-api/3.0/mlflow/assistant/config",
    ):
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        connection.request("GET", path, headers={"Authorization": "Bearer mallory"})
        assert connection.getresponse().status in (400, 404), path
        connection.close()


def test_no_credential_nor_origin_of_the_caller_reaches_the_server_and_ids_pass_through(mlflow):
    headers = {"Origin": "https://evil.example", "X-Request-ID": "click-1", "X-Slipway-MLflow-Secret": "guess"}
    answer = mlflow.ask("dana-laptop", "POST", "experiments/search", json={"max_results": 1}, headers=headers)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (200, "click-1")
    assert mlflow.ask("dana-laptop", "GET", "/version").headers["X-Request-ID"]


@pytest.mark.parametrize("declared", [True, False], ids=["content-length", "chunked"])
def test_artifacts_stream_in_both_directions_whatever_their_size(mlflow, vision, declared):
    experiment_id, run_id = vision
    part = secrets.token_bytes(2**20)
    path = f"{ARTIFACTS}/{experiment_id}/{run_id}/artifacts/large%20file%20{declared}.bin"

    def body():
        for _ in range(20):
            yield part

    data = part * 20 if declared else body()
    assert mlflow.ask("dana-laptop", "PUT", path, data=data).status_code == 200
    got = mlflow.ask("dana-laptop", "GET", path)
    assert (got.status_code, got.content == part * 20) == (200, True)
    listed = mlflow.ask("dana-laptop", "GET", f"artifacts/list?run_id={run_id}").json()["files"]
    assert f"large file {declared}.bin" in [entry["path"] for entry in listed]


def test_an_oversized_json_body_is_refused(mlflow, vision):
    body = b'{"run_id": "' + b"x" * (33 * 2**20) + b'"}'
    answer = mlflow.ask("dana-laptop", "POST", "runs/log-batch", data=body)
    assert (answer.status_code, answer.json()["error_code"]) == (413, "RESOURCE_EXHAUSTED")


def test_a_server_that_is_away_is_said_with_a_time_to_try_again():
    port = free_port()
    proxy = MlflowProxy(upstream=f"http://127.0.0.1:{free_port()}", authenticate=authenticate)
    server = uvicorn.Server(uvicorn.Config(proxy, port=port, log_level="error", lifespan="off"))

    async def serve():
        await server.serve()
        await proxying.upstream_session_close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        for _ in range(200):
            if server.started:
                break
            threading.Event().wait(0.02)
        for path in ("runs/get?run_id=1", "experiments/search"):
            answer = requests.get(
                f"http://127.0.0.1:{port}/mlflow/api/2.0/mlflow/{path}",
                headers={"Authorization": "Bearer ada"},
                timeout=5,
            )
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.mark.parametrize(("secret", "asked_of_itself"), [("of-ours", []), ("", ["server-info"])])
async def test_a_training_loop_asks_once_whose_its_run_is(secret, asked_of_itself):
    """Every call more at the server would double what a small call takes. Ours is known to have no workspaces."""
    asked = []

    async def answer(request):
        asked.append(request.path.rpartition("/mlflow/")[2])
        run = {"info": {"run_id": "r1", "experiment_id": "1"}}
        return web.json_response({"run": run, "experiment": {"experiment_id": "1", "name": "vision/a"}})

    upstream = web.Application()
    upstream.router.add_route("*", "/{path:.*}", answer)
    async with aiohttp_served(upstream) as server:
        proxy = MlflowProxy(upstream=f"http://{server}", authenticate=authenticate, secret=secret)
        async with (
            asgi_served(proxy) as address,
            ClientSession(headers={"Authorization": "Bearer dana-laptop"}) as client,
        ):
            for _ in range(3):
                for path in ("runs/log-metric", "runs/log-batch", "runs/set-tag"):
                    url = f"http://{address}/mlflow/api/2.0/mlflow/{path}"
                    async with client.post(url, json={"run_id": "r1", "key": "loss"}) as response:
                        assert response.status == 200
        await proxying.upstream_session_close()
    assert [path for path in asked if path.endswith("/get")] == ["runs/get", "experiments/get"]
    assert [path for path in asked if path.startswith("server")] == asked_of_itself
    assert len(asked) == 2 + 9 + len(asked_of_itself)
