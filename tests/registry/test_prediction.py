"""The form made of a signature, the body made of the form, and deployments that are found, or not."""

import json
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.catalog.models import Module
from apps.environments.access.contracts import Upstream
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, can
from apps.registry import endpoints
from apps.registry.deployed import Lacking, deployments_of
from apps.registry.endpoints import requirements_lacking
from apps.registry.exceptions import NotDeployed, PredictionFailed, PredictionInvalid
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.prediction import PredictionForm
from apps.registry.services.predicting import prediction_send
from apps.registry.signature import Field, Signature, signature_data
from tests.cast import Cast, bearer, browser

COLUMNS = Signature(
    inputs=(
        Field("age", "long"),
        Field("income", "double"),
        Field("member", "boolean"),
        Field("city", "string", required=False),
        Field("visits", "array(long)", required=False),
    ),
    outputs=(Field("", "long"),),
    params=(Field("threshold", "double", default=0.5),),
)
EXAMPLE = {"dataframe_split": {"columns": ["age", "income", "city"], "data": [[41, 2.5, "Ghent"]]}}


def form(signature: Signature | None, data: dict[str, str], example: Any = None) -> PredictionForm:
    return PredictionForm(
        {"deployment": "d", **data}, signature=signature, example=example, deployments=[("d", "scores")]
    )


def test_columns_become_fields_of_their_types_filled_from_the_example() -> None:
    made = PredictionForm(signature=COLUMNS, example=EXAMPLE, deployments=[("d", "scores")])
    kinds = {field.label: type(made.fields[name]).__name__ for name, field in made.fields.items()}
    assert kinds["age"] == "IntegerField"
    assert kinds["income"] == "FloatField"
    assert kinds["member"] == "TypedChoiceField"
    assert kinds["visits"] == "JsonField"
    assert made.fields["input-0"].initial == 41
    assert made.fields["input-3"].initial == "Ghent"
    assert made.fields["param-0"].initial == 0.5


def test_the_body_leaves_out_what_is_optional_and_empty() -> None:
    made = form(COLUMNS, {"input-0": "41", "input-1": "2.5", "input-2": "true", "input-3": "", "param-0": "0.7"})
    assert made.is_valid(), made.errors
    assert made.payload() == {
        "dataframe_split": {"columns": ["age", "income", "member"], "data": [[41, 2.5, True]]},
        "params": {"threshold": 0.7},
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("input-0", "1.5"), ("input-0", "9" * 30), ("input-1", "NaN"), ("input-1", "inf"), ("input-2", "perhaps"),
     ("input-4", "[1,"), ("input-4", "NaN"), ("input-4", "[" * 5000), ("param-0", "x")],
)  # fmt: skip
def test_what_does_not_fit_is_said_at_its_field(name: str, value: str) -> None:
    data = {"input-0": "41", "input-1": "2.5", "input-2": "true", name: value}
    made = form(COLUMNS, data)
    assert list(made.errors) == [name]


def test_a_tensor_is_given_as_json() -> None:
    tensor = Signature(inputs=(Field("", "float64", tensor=True, shape=(-1, 2)),))
    made = form(tensor, {"input-0": "[[1, 2.5]]"})
    assert made.is_valid()
    assert made.payload() == {"inputs": [[1, 2.5]]}
    named = Signature(inputs=(Field("a", "float64", tensor=True), Field("b", "float64", tensor=True)))
    made = form(named, {"input-0": "[1]", "input-1": "[2]"})
    assert made.is_valid()
    assert made.payload() == {"inputs": {"a": [1], "b": [2]}}


@pytest.mark.parametrize("signature", [None, Signature(inputs=tuple(Field(f"c{n}", "double") for n in range(200)))])
def test_without_a_signature_or_with_very_many_columns_the_whole_body_is_given(signature: Signature | None) -> None:
    made = form(signature, {"body": '{"inputs": [1]}'}, EXAMPLE)
    assert made.is_valid()
    assert made.payload() == {"inputs": [1]}
    for body in ("[1]", "{}", '{"inputs": [1], "instances": [2]}'):
        wrong = form(signature, {"body": body})
        assert wrong.is_valid()
        with pytest.raises(PredictionInvalid):
            wrong.payload()


def test_what_a_python_lacks_is_named_and_what_is_missing_comes_first() -> None:
    packages = {"scikit-learn": "1.8.0", "numpy": "2.4.6", "mlflow-skinny": "3.17.2"}
    lines = [
        "mlflow==3.17.2",
        "scikit-learn==1.9.1",
        "numpy>=2",
        "xgboost==3.0",
        "-r other.txt",
        "pywin32; sys_platform == 'win32'",
    ]
    assert requirements_lacking(lines, packages) == [
        Lacking("xgboost", "==3.0", ""),
        Lacking("scikit-learn", "==1.9.1", "1.8.0"),
    ]


class Model(BaseHTTPRequestHandler):
    """Answers as a scoring server does, or as the path of the test says."""

    answer: tuple[int, bytes] = (200, b'{"predictions": [1]}')
    asked: list[dict[str, Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append({"path": self.path, "auth": self.headers["Authorization"], "body": json.loads(body)})
        status, content = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[str]:
    Model.asked, Model.answer = [], (200, b'{"predictions": [1]}')
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def cast(db: None) -> Cast:
    from tests.cast import cast_make

    return cast_make()


@pytest.fixture
def deployed(cast: Cast, served: str, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A running endpoint of dana's that serves version 1; what it answers is `Model.answer`."""
    from apps.catalog.services import module_register
    from tests.clusters.world import MODULES
    from tests.factories import environment_running

    model = RegisteredModel.objects.create(
        name="churn.scores", born=1, team=cast.churn, fingerprint="", version_count=1
    )
    version = ModelVersion.objects.create(
        model=model, version=1, fingerprint="", details="read", signature=signature_data(COLUMNS), example=EXAMPLE,
        status="READY",
    )  # fmt: skip
    environment = environment_running(cast)
    registered = module_register(path=MODULES / "local-model-endpoint", actor=None)
    inputs = {"model_name": "churn.scores", "model_version": 1}
    Environment.objects.filter(pk=environment.pk).update(
        module=registered.module, module_version=registered, inputs=inputs, name="scores", team=cast.churn
    )
    environment.refresh_from_db()

    def upstream(row: Environment) -> Upstream:
        return Upstream(str(row.pk), row.slug, row.status, served, "s3cret")

    monkeypatch.setattr(endpoints, "application_upstream", upstream)
    return SimpleNamespace(model=model, version=version, environment=environment, key=f"environment:{environment.pk}")


def test_a_deployment_is_found_by_what_it_serves(cast: Cast, deployed: SimpleNamespace) -> None:
    (found,) = deployments_of(["churn.scores"], cast.dana)
    assert (found.version, found.title, found.serves, found.may_predict) == (1, "scores", True, True)
    for person in (cast.ada, cast.pete):
        (seen,) = deployments_of(["churn.scores"], person)
        assert not seen.may_predict
        assert "Only somebody of team Churn" in seen.why_not
    assert deployments_of(["churn.scores"], cast.mallory) == []


def test_an_endpoint_of_another_team_that_names_the_model_does_not_count(cast: Cast, deployed: SimpleNamespace) -> None:
    Environment.objects.filter(pk=deployed.environment.pk).update(team=cast.vision)
    assert deployments_of(["churn.scores"], cast.dana) == []


def test_the_form_on_the_page_sends_and_shows_answer_and_time(cast: Cast, deployed: SimpleNamespace) -> None:
    client = browser(cast.dana)
    page = client.get("/models/churn.scores/1/").content.decode()
    assert "Send prediction" in page
    data = {"deployment": deployed.key, "input-0": "41", "input-1": "2.5", "input-2": "true"}
    answer = client.post("/models/churn.scores/1/predict/", data)
    assert answer.status_code == 200
    assert "predictions" in answer.content.decode()
    assert "Answer, in" in answer.content.decode()
    asked = Model.asked[0]
    assert asked["path"] == "/invocations"
    assert asked["auth"] == "token s3cret"
    assert asked["body"]["dataframe_split"]["columns"] == ["age", "income", "member"]
    assert AuditEvent.objects.filter(action="registry:version:predicted", target_name="churn.scores").count() == 1
    part = client.post("/models/churn.scores/1/predict/", data, HTTP_HX_REQUEST="true").content.decode()
    assert part.lstrip().startswith("<section")
    again = client.get("/models/churn.scores/1/").content.decode()
    assert "through Slipway" in again


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((400, b'{"error_code": "BAD_REQUEST", "message": "income is missing"}'), "income is missing"),
        ((500, b"<h1>boom</h1>"), "The model said (500): &lt;h1&gt;boom"),
        ((302, b""), "The model said (302)"),
        ((200, b"x" * 3_000_000), "larger than 1 MB"),
    ],
)
def test_failures_are_sentences(cast: Cast, deployed: SimpleNamespace, answer: Any, words: str) -> None:
    Model.answer = answer
    data = {"deployment": deployed.key, "input-0": "41", "input-1": "2.5", "input-2": "true"}
    page = browser(cast.dana).post("/models/churn.scores/1/predict/", data)
    assert page.status_code in (422, 502)
    assert words in page.content.decode()


def test_an_answer_with_nan_and_markup_is_shown_safely(cast: Cast, deployed: SimpleNamespace) -> None:
    Model.answer = (200, b'{"predictions": [NaN, "<script>alert(1)</script>", "\\u0000"]}')
    data = {"deployment": deployed.key, "input-0": "41", "input-1": "2.5", "input-2": "true"}
    text = browser(cast.dana).post("/models/churn.scores/1/predict/", data).content.decode()
    assert "NaN" in text
    assert "<script>alert" not in text


def test_somebody_of_the_team_sends_one_too_and_opens_nothing(cast: Cast, deployed: SimpleNamespace) -> None:
    data = {"deployment": deployed.key, "input-0": "41", "input-1": "2.5", "input-2": "true"}
    client = browser(cast.mira)
    assert "Send prediction" in client.get("/models/churn.scores/1/").content.decode()
    answer = client.post("/models/churn.scores/1/predict/", data)
    assert answer.status_code == 200
    assert "predictions" in answer.content.decode()
    assert "s3cret" not in answer.content.decode()
    assert AuditEvent.objects.get(action="registry:version:predicted").actor == cast.mira
    assert not can(cast.mira, EnvironmentPermission.OPEN, deployed.environment)
    assert client.get(f"/environments/{deployed.environment.pk}/open/").status_code == 404


def test_who_is_not_of_the_team_sends_nothing(cast: Cast, deployed: SimpleNamespace) -> None:
    data = {"deployment": deployed.key, "input-0": "41", "input-1": "2.5", "input-2": "true"}
    assert browser(cast.ada).post("/models/churn.scores/1/predict/", data).status_code == 403
    assert browser(cast.pete).post("/models/churn.scores/1/predict/", data).status_code == 403
    assert browser(cast.mallory).post("/models/churn.scores/1/predict/", data).status_code == 404
    assert Model.asked == []


def test_an_endpoint_of_another_module_is_asked_by_its_owner_only(cast: Cast, deployed: SimpleNamespace) -> None:
    Module.objects.filter(pk=deployed.environment.module_id).update(slug="other-endpoint")
    data = {"deployment": deployed.key, "input-0": "41", "input-1": "2.5", "input-2": "true"}
    assert browser(cast.mira).post("/models/churn.scores/1/predict/", data).status_code == 403
    assert browser(cast.dana).post("/models/churn.scores/1/predict/", data).status_code == 200


def test_a_teammates_notebook_is_never_asked(cast: Cast, deployed: SimpleNamespace) -> None:
    Module.objects.filter(pk=deployed.environment.module_id).update(kind=Module.Kind.NOTEBOOK)
    for person in (cast.mira, cast.dana):
        assert deployments_of(["churn.scores"], person) == []
        with pytest.raises(NotDeployed, match="no longer there"):
            endpoints.EndpointEnvironments().predict(deployed.key, person, {"inputs": [1]})
    assert Model.asked == []


def test_a_stopped_endpoint_is_said(cast: Cast, deployed: SimpleNamespace) -> None:
    Environment.objects.filter(pk=deployed.environment.pk).update(status="stopped")
    with pytest.raises(PredictionFailed, match="does not answer: stopped"):
        prediction_send(version=deployed.version, actor=cast.dana, deployment=deployed.key, payload={"inputs": [1]})


def test_the_version_page_says_what_its_python_would_lack(cast: Cast, deployed: SimpleNamespace) -> None:
    ModelVersion.objects.update(requirements=["xgboost==3.0", "scikit-learn==1.0"], python="3.9.1")
    text = browser(cast.dana).get("/models/churn.scores/1/").content.decode()
    assert "xgboost==3.0, which is not there" in text
    assert "scikit-learn==1.0, and would get 1.8.0" in text
    assert "Python 3.9, and would get 3.11" in text
    assert "model_name=churn.scores&amp;model_version=1" in text


@pytest.fixture
def token(cast: Cast) -> str:
    from apps.accounts.services import token_create

    made = token_create(user=cast.dana, name="api", scopes=["write"], expires_at=timezone.now() + timedelta(days=1))
    return str(made[1])


def test_the_api_predicts(cast: Cast, deployed: SimpleNamespace, token: str, client: Any) -> None:
    url = "/api/v1/models/churn.scores/versions/1/predict/"
    body = {"dataframe_records": [{"age": 1}]}
    answer = client.post(url, {"body": body}, content_type="application/json", **bearer(token))
    assert answer.status_code == 200, answer.content
    assert answer.json()["answer"] == {"predictions": [1]}
    wrong = client.post(url, {"body": [1]}, content_type="application/json", **bearer(token))
    assert wrong.status_code == 400
    assert "body" in wrong.json()["errors"]
