"""The endpoint module, applied for real: it fetches a model through the portal's route and answers to its secret."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clusters.conftest import machine, terraform_environment
from tests.clusters.world import MODULES, Applied
from tests.experiments.conftest import Server, mlflow
from tests.registry.world import Registry

__all__ = ["machine", "mlflow", "terraform_environment"]

pytestmark = [pytest.mark.matrix, pytest.mark.slow, pytest.mark.timeout(400)]


class Endpoint(Applied):
    """The module, applied with the route of a real MLflow."""

    token = ""
    tracking_uri = ""

    def apply(self, *, running: bool = True, code: int = 0, **inputs: Any) -> str:
        self.inputs |= inputs
        slipway = {
            "environment_id": self.workspace,
            "name": "scores",
            "team": "churn",
            "owner": "dana",
            "running": running,
            "portal_url": "http://localhost",
            "mlflow_tracking_uri": self.tracking_uri,
        }
        values = {**self.inputs, "slipway": slipway, "slipway_secrets": {"mlflow_tracking_token": self.token}}
        (self.folder / "terraform.tfvars.json").write_text(json.dumps(values))
        return self.run("apply", "-auto-approve", "-input=false", "-no-color", code=code)

    def ask(self, path: str, data: Any = None, authorization: str | None = None) -> tuple[int, Any]:
        outputs = self.outputs
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"http://{outputs['address']}{path}", data=body)
        request.add_header("Authorization", f"token {outputs['secret']}" if authorization is None else authorization)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


@pytest.fixture(scope="module")
def registered(mlflow: Server, logged_models: dict[str, Any]) -> Iterator[Registry]:
    outside = Registry(mlflow)
    outside.model("churn.served")
    outside.version("churn.served", logged_models["first"])
    outside.version("churn.served", logged_models["tensor"])
    yield outside
    outside.delete("churn.served")


@pytest.fixture(scope="module")
def endpoint(
    registered: Registry,
    mlflow: Server,
    machine: Any,
    terraform_environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("endpoint") / "local-model-endpoint"
    applied = Endpoint("local-model-endpoint", machine, folder, terraform_environment)
    applied.token, applied.tracking_uri = "dana-dashboard", mlflow.proxy
    applied.apply(model_name="churn.served", model_version=1)
    yield applied
    applied.destroy()


FRAME = {"dataframe_split": {"columns": ["age", "income", "tenure"], "data": [[3.0, 0.0, 0.1], [-3.0, 0.0, 0.1]]}}


def test_it_answers_predictions_of_the_version(endpoint: Endpoint) -> None:
    status, body = endpoint.ask("/invocations", FRAME)
    assert (status, json.loads(body)) == (200, {"predictions": [1, 0]})


def test_a_body_that_does_not_fit_is_answered_with_a_sentence(endpoint: Endpoint) -> None:
    frame = {"dataframe_split": {"columns": ["age"], "data": [[3.0]]}}
    status, body = endpoint.ask("/invocations", frame)
    assert status == 400
    assert "income" in json.loads(body)["message"]


@pytest.mark.parametrize("authorization", ["", "token wrong", "Bearer x", "token "])
@pytest.mark.parametrize("path", ["/", "/ping", "/slipway/health", "/invocations", "/docs"])
def test_it_opens_to_nobody_without_its_secret(endpoint: Endpoint, path: str, authorization: str) -> None:
    assert endpoint.ask(path, authorization=authorization)[0] == 401


def test_it_offers_nothing_but_its_own_pages(endpoint: Endpoint) -> None:
    assert endpoint.ask("/docs")[0] == 404
    status, page = endpoint.ask("/")
    assert status == 200
    assert b"churn.served, version 1" in page


def test_a_second_apply_changes_nothing(endpoint: Endpoint) -> None:
    assert "No changes" in endpoint.plan()


def test_it_starts_again_from_what_was_fetched_while_mlflow_is_away(endpoint: Endpoint) -> None:
    there = endpoint.tracking_uri
    endpoint.apply(running=False)
    endpoint.tracking_uri = "http://127.0.0.1:9/mlflow"
    try:
        endpoint.apply()
        assert endpoint.ask("/invocations", FRAME)[0] == 200
    finally:
        endpoint.tracking_uri = there
        endpoint.apply()


def test_another_version_is_an_update(endpoint: Endpoint) -> None:
    endpoint.apply(model_version=2)
    assert json.loads(endpoint.ask("/slipway/health")[1])["version"] == 2
    assert endpoint.ask("/invocations", {"inputs": [[3.0, 0.0]]})[0] == 200
    endpoint.apply(model_version=1)


def test_a_model_of_another_team_is_not_served(
    endpoint: Endpoint, registered: Registry, logged_models: dict[str, Any]
) -> None:
    registered.model("pricing.secret", team="pricing")
    registered.version("pricing.secret", logged_models["first"])
    try:
        told = endpoint.apply(model_name="pricing.secret", model_version=1, code=1)
        assert "is not there, or belongs to another team" in told.replace("\n", " ")
    finally:
        registered.delete("pricing.secret")
        endpoint.apply(model_name="churn.served", model_version=1)


def test_the_models_code_sees_no_token(endpoint: Endpoint) -> None:
    source = (MODULES / "local-model-endpoint/runtime/plugin/slipway_endpoint/__main__.py").read_text()
    assert source.index('pop("MLFLOW_TRACKING_TOKEN"') < source.index("_application(model_folder)")


def test_its_packages_are_those_of_the_notebook() -> None:
    lock = "runtime/requirements.lock"
    same = (MODULES / "local-notebook" / lock).read_text() == (MODULES / "local-model-endpoint" / lock).read_text()
    assert same, "copy runtime/requirements.* of the notebook over the endpoint's"
