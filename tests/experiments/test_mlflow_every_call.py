"""Every call of the MLflow server, from a notebook of another team: nothing of ours is read, changed or deleted."""

import gzip
import hashlib
import http.client
import json
import re
import secrets
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import requests
from psycopg import sql

from apps.experiments import mlflow_rules
from apps.experiments.mlflow_rules import rule_find
from tests.experiments import mlflow_calls
from tests.experiments.conftest import ROOT
from tests.experiments.mlflow_attacks import (
    FILES,
    NOW,
    V2,
    V3,
    Request,
    Things,
    feedback,
    requests_of,
    spans,
    spans_request,
    trace_body,
    variants,
)

pytestmark = [pytest.mark.slow]
NAME, SECRET = "wren-house", "kingfisher-7f3a"  # in names that a call has to give, and in everything else
OWNER, ATTACKER = "dana-notebook", "mallory-notebook"


def plant(mlflow, token, team, name, secret) -> Things:
    """One of everything, each holding the secret."""

    def ask(method, path, data=None, **options):
        answer = mlflow.ask(token, method, path, json=data, **options)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json() if answer.text else {}

    experiment_name = f"{team}/{name}-{secrets.token_hex(3)}"
    tags = [{"key": "about", "value": secret}, {"key": "mlflow.note.content", "value": secret}]
    experiment = ask("POST", "experiments/create", {"name": experiment_name, "tags": tags})["experiment_id"]
    made = {"experiment_id": experiment, "run_name": f"run {secret}", "start_time": NOW, "tags": tags}
    run = ask("POST", "runs/create", made)["run"]["info"]["run_id"]
    metrics = [{"key": key, "value": 0.5, "timestamp": NOW, "step": 1} for key in ("loss", f"of {secret}")]
    params = [{"key": f"of {secret}", "value": secret}]
    ask("POST", "runs/log-batch", {"run_id": run, "metrics": metrics, "params": params})
    dataset = {"name": secret, "digest": "ab12", "source_type": "local", "source": json.dumps({"uri": secret})}
    ask("POST", "runs/log-inputs", {"run_id": run, "datasets": [{"dataset": dataset}]})
    logged = {"experiment_id": experiment, "name": f"model {secret}", "source_run_id": run, "tags": tags}
    model = ask("POST", "logged-models", {**logged, "params": params})["model"]["info"]["model_id"]
    ask("PATCH", f"logged-models/{model}", {"model_id": model, "status": 2})
    for path in (f"{run}/artifacts/notes.txt", f"{run}/artifacts/{secret}.txt", f"models/{model}/artifacts/MLmodel"):
        answer = mlflow.ask(token, "PUT", f"{FILES}/artifacts/{experiment}/{path}", data=f"text {secret}".encode())
        assert answer.status_code == 200, answer.text
    registered = f"{team}.{name}-{secrets.token_hex(3)}"
    ask("POST", "registered-models/create", {"name": registered, "description": secret, "tags": tags})
    version = {"name": registered, "source": f"models:/{model}", "run_id": run, "model_id": model, "tags": tags}
    ask("POST", "model-versions/create", {**version, "description": secret})
    ask("POST", "registered-models/alias", {"name": registered, "alias": f"best-{secret}", "version": "1"})
    trace = f"tr-{secrets.token_hex(16)}"
    sent = spans_request(experiment, trace, run, name=f"span {secret}", attributes={"said": secret})
    answer = mlflow.ask(token, "POST", sent.path, data=sent.body, headers=sent.headers)
    assert answer.status_code == 200, answer.text
    told = {"request_preview": secret, "response_preview": secret, "tags": {"about": secret}}
    ask("POST", f"{V3}/traces", trace_body(experiment, trace, trace_metadata={"about": secret}, **told))
    said = feedback(rationale=secret, trace_id=trace)
    assessment = ask("POST", f"{V3}/traces/{trace}/assessments", {"assessment": said})["assessment"]["assessment_id"]
    return Things(experiment, experiment_name, run, model, trace, assessment, registered)


def rows_of(mlflow) -> set[tuple[str, str]]:
    """Every row of MLflow's database."""
    found = set()
    with psycopg.connect(mlflow.database_url) as connection:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        for (table,) in connection.execute(query).fetchall():
            rows = connection.execute(sql.SQL("SELECT row_to_json(t)::text FROM {} t").format(sql.Identifier(table)))
            found |= {(table, row) for (row,) in rows.fetchall()}
    return found


def files_of(mlflow) -> dict[str, str]:
    folder = Path(mlflow.folder) / "artifacts"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def server_routes():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.experiments.mlflow_routes"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def theirs(mlflow):
    return plant(mlflow, OWNER, "vision", NAME, SECRET)


@pytest.fixture(scope="module")
def untouched(mlflow, theirs):
    """At the end of the module: every row and file of before is as it was, and nothing new names them."""
    rows, files = rows_of(mlflow), files_of(mlflow)
    yield
    left, files_left = rows_of(mlflow), files_of(mlflow)
    assert not rows - left, "rows were changed or deleted"
    assert {path: files_left.get(path) for path in files} == files
    assert not [path for path in files_left.keys() - files.keys() if path.startswith(f"{theirs.experiment}/")]
    known = (SECRET, theirs.experiment_name, theirs.run, theirs.model, theirs.trace, theirs.assessment)
    about = [row for row in left - rows if any(each in row[1] for each in (*known, f'"{theirs.registered}"'))]
    about += [row for row in left - rows if re.search(rf'"experiment_id":"?{theirs.experiment}\b', row[1])]
    # A run may say of itself that it is the child of whatever it likes: a claim, in a tag of its own.
    assert [row for row in about if "mlflow.parentRunId" not in row[1]] == []


@pytest.fixture(scope="module")
def own(mlflow, untouched):
    return plant(mlflow, ATTACKER, "pricing", "own", "plain")


def send(mlflow, token, request: Request) -> requests.Response:
    kind = {} if request.data is None else {"Content-Type": "application/json"}
    headers = {**kind, **request.headers}
    return mlflow.ask(token, request.method, request.path, data=request.payload, headers=headers)


def told(answer: requests.Response, request: Request) -> list[str]:
    """What of theirs an answer holds that the request did not say itself."""
    text = answer.text + str(answer.headers)
    asked = unquote(request.path) + (request.payload or b"").decode("utf-8", "replace")
    return [each for each in (SECRET, NAME) if each in text and each not in asked]


def table_of(text: str) -> dict[str, set[str]]:
    lines = (line.split() for line in text.split("\n") if line.strip())
    return {path: set(methods) for path, *methods in lines}


def plain(route: str) -> str:
    """A route without the names of its parameters, which the server's two halves call differently."""
    return re.sub(r"{\w+}", "{}", route)


def test_somebody_decided_about_every_call_of_the_server(server_routes):
    """A call that a new version of MLflow adds is written into mlflow_calls or mlflow_attacks first."""
    some = Things("1", "vision/x", "r", "m-1", "tr-" + "0" * 32, "a-1", "vision.x")
    decided = table_of(mlflow_calls.REFUSED)
    for request in requests_of(some):
        decided.setdefault(request.route, set()).add(request.method)
    decided_plain: dict[str, set[str]] = {}
    for route, methods in decided.items():
        decided_plain.setdefault(plain(route), set()).update(methods)
    there = {plain(route): set(methods) for route, methods in server_routes["routes"].items()}
    twins = {route for route in there if route.startswith("/ajax-api") and route.removeprefix("/ajax-") in _bare(there)}
    undecided = {
        route: methods - decided_plain.get(route, set())
        for route, methods in there.items()
        if route not in twins and methods - decided_plain.get(route, set())
    }
    assert undecided == {}
    gone = {route for route, methods in decided_plain.items() if methods - there.get(route, set())}
    assert gone == set(), "the server does not have these any more"


def _bare(there):
    return {route.removeprefix("/") for route in there}


def test_somebody_decided_about_every_field_of_the_calls_that_pass(server_routes):
    names = set()
    for path, fields in server_routes["fields"].items():
        example = re.sub(r"{[^}]+}", "1", path)
        if any(rule_find(method, example) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")):
            names |= set(fields)
    known = {name for name in names if name.replace("_", "").lower() in mlflow_rules._FIELDS}
    assert names - known == set(mlflow_calls.NAMES_NOTHING.split())


def test_what_is_not_passed_on_is_not_there_for_anybody(mlflow, server_routes, theirs, own):
    values = {"artifact_path": theirs.file, "path": "x", "name": theirs.registered, "model_id": theirs.model}
    values |= {"trace_id": theirs.trace, "request_id": theirs.trace, "experiment_id": theirs.experiment}
    sink = {"experiment_id": theirs.experiment, "run_id": theirs.run, "run_uuid": theirs.run, "name": theirs.registered}
    sink |= {"request_id": theirs.trace, "model_id": theirs.model, "version": "1", "path": "notes.txt"}
    wanted = table_of(mlflow_calls.REFUSED)
    wanted |= {route: set(methods) for route, methods in server_routes["routes"].items() if route.startswith("/ajax-")}
    for route, methods in sorted(wanted.items()):
        places = {name: values.get(name, "1") for name in re.findall(r"{(\w+)}", route)}
        for method in sorted(methods):
            request = Request(method, route, places, query=sink, data=sink)
            for token in (ATTACKER, OWNER):
                answer = send(mlflow, token, request)
                assert answer.status_code == 404, (method, route, answer.status_code)
                assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND", (method, route)


def test_graphql_is_not_there(mlflow, theirs, own):
    query = f'{{ mlflowGetRun(input: {{runId: "{theirs.run}"}}) {{ run {{ info {{ runName }} }} }} }}'
    for path in ("/graphql", "/graphql/", "/ajax-api/2.0/mlflow/graphql", "//graphql"):
        answer = mlflow.ask(ATTACKER, "POST", path, json={"query": query})
        assert (answer.status_code, SECRET in answer.text) == (404, False)


def test_every_call_about_anothers_things_is_refused_however_they_are_named(mlflow, theirs, own):
    tried = 0
    for request in requests_of(theirs):
        for how, asked in variants(request, own):
            answer = send(mlflow, ATTACKER, asked)
            what = (how, asked.method, asked.path, asked.payload, answer.status_code, answer.text[:300])
            assert told(answer, asked) == [], what
            assert answer.status_code < 500, what
            if not request.shared:
                assert answer.status_code in (400, 403, 404), what
            tried += 1
    assert tried > 700


def test_the_same_calls_are_well_formed_and_their_owner_may_make_them(mlflow, untouched):
    """Else the refusals above would say little."""
    some = plant(mlflow, OWNER, "vision", "given-away", "plain")
    for request in requests_of(some):
        answer = send(mlflow, OWNER, request)
        what = (request.method, request.path, request.payload, answer.status_code, answer.text[:500])
        if request.unsupported:
            assert answer.status_code in (400, 501), what
            assert "not supported" in answer.text or "NOT_IMPLEMENTED" in answer.text, what
        else:
            assert answer.status_code == 200, what


def mixed(own: Things, theirs: Things) -> list[tuple[str, Request]]:
    """Calls about one's own things that reach for others'."""
    logged, versions = f"{V2}/logged-models", f"{V2}/model-versions/create"
    metric = {"key": "loss", "value": 1, "timestamp": NOW, "step": 1}
    found = [
        (f"{V2}/runs/log-batch", {"run_id": own.run, "metrics": [{**metric, "model_id": theirs.model}]}),
        (f"{V2}/runs/log-metric", {"run_id": own.run, **metric, "modelId": theirs.model}),
        (f"{V2}/runs/log-inputs", {"run_id": own.run, "models": [{"model_id": theirs.model}]}),
        (f"{V2}/runs/outputs", {"run_id": own.run, "models": [{"modelId": theirs.model, "step": 1}]}),
        (logged, {"experiment_id": own.experiment, "name": "x", "source_run_id": theirs.run}),
        (f"{V2}/traces/link-to-run", {"trace_ids": [own.trace], "run_id": theirs.run}),
        (f"{V2}/traces/link-to-run", {"trace_ids": [own.trace, theirs.trace], "run_id": own.run}),
        (f"{V3}/traces/delete-traces", {"experiment_id": own.experiment, "request_ids": [theirs.trace]}),
        (f"{V3}/traces", trace_body(own.experiment, theirs.trace)),
        (f"{V3}/traces", trace_body(theirs.experiment, own.trace)),
        (f"{V2}/experiments/create", {"name": theirs.experiment_name}),
        (f"{V2}/experiments/update", {"experiment_id": own.experiment, "new_name": theirs.experiment_name}),
    ]
    sources = [
        f"models:/{theirs.model}",
        f"models:/{theirs.registered}/1",
        f"models:/{theirs.registered}@best-{SECRET}",
        f"models:/{own.registered}/../{theirs.registered}/1",
        f"models:/{own.registered}\n/../x",
        f"models:/{theirs.registered[:4]}\t{theirs.registered[4:]}/1",
        f"models:/{own.model}/../{theirs.model}",
        f"runs:/{theirs.run}/model",
        f"runs:/{own.run}/../../{theirs.run}/artifacts",
        f"runs:/{own.run}/%2e%2e/{theirs.run}",
        f"mlflow-artifacts:/{theirs.file}",
        f"mlflow-artifacts:/{own.experiment}/../{theirs.file}",
        f"mlflow-artifacts:/{own.experiment}/%252e%252e/{theirs.file}",
        f"mlflow-artifacts://localhost/{theirs.file}",
        f"http://localhost/api/2.0/mlflow-artifacts/artifacts/{theirs.file}",
        "file:///etc",
        "/etc",
        "../..",
    ]
    for source in sources:
        found.append((versions, {"name": own.registered, "source": source}))
        found.append((versions, {"name": own.registered, "source": source, "run_id": own.run, "model_id": own.model}))
    good = {"name": own.registered, "source": f"models:/{own.model}"}
    found += [(versions, {**good, "run_id": theirs.run}), (versions, {**good, "model_id": theirs.model})]
    return [(path, Request("POST", path, data=data)) for path, data in found]


def test_calls_about_ones_own_things_reach_no_others(mlflow, theirs, own):
    for path, request in mixed(own, theirs):
        answer = send(mlflow, ATTACKER, request)
        what = (path, request.payload, answer.status_code, answer.text[:300])
        assert answer.status_code in (400, 403, 404), what
        assert told(answer, request) == [], what


def test_spans_go_into_no_trace_nor_run_of_others(mlflow, theirs, own):
    good = spans_request(own.experiment, theirs.trace)
    packed = replace(good, body=gzip.compress(good.body or b""), headers={**good.headers, "Content-Encoding": "gzip"})
    span = {"traceId": theirs.trace.removeprefix("tr-"), "spanId": "ab" * 8, "name": "x"}
    span |= {"startTimeUnixNano": "1", "endTimeUnixNano": "2"}
    as_json = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    kind = {**good.headers, "Content-Type": "application/json"}
    new = f"tr-{secrets.token_hex(16)}"
    for request in (
        good,
        packed,
        replace(good, body=json.dumps(as_json).encode(), headers=kind),
        replace(good, headers={**good.headers, "X-MLFLOW-EXPERIMENT-ID": theirs.experiment}),
        replace(good, headers={key: value for key, value in good.headers.items() if key == "Content-Type"}),
        spans_request(own.experiment, new, theirs.run),
        spans_request(theirs.experiment, new),
        replace(good, body=b"\xff\xff"),
    ):
        assert send(mlflow, ATTACKER, request).status_code in (400, 404)
    connection, path = _connection(mlflow)
    connection.putrequest("POST", f"{path}/v1/traces")
    body = spans(new).SerializeToString()
    for name, value in (
        ("Authorization", f"Bearer {ATTACKER}"),
        ("Content-Type", "application/x-protobuf"),
        ("Content-Length", str(len(body))),
        ("X-MLFLOW-EXPERIMENT-ID", own.experiment),
        ("X-MLFLOW-EXPERIMENT-ID", theirs.experiment),
        ("X-MLFLOW-RUN-ID", own.run),
        ("X-MLFLOW-RUN-ID", theirs.run),
    ):
        connection.putheader(name, value)
    connection.endheaders(body)
    assert connection.getresponse().status == 200
    connection.close()
    info = mlflow.direct("GET", f"{V3}/traces/{new}").json()["trace"]["trace_info"]
    assert info["trace_location"]["mlflow_experiment"]["experiment_id"] == own.experiment


def test_a_trace_says_nothing_about_where_its_files_are(mlflow, theirs, own):
    """MLflow reads and deletes an archived trace where its tags say it lies."""
    here = f"mlflow-artifacts:/{theirs.experiment}/{theirs.run}/artifacts"
    hidden = {"mlflow.trace.spansLocation": "ARCHIVE_REPO", "mlflow.trace.archiveLocation": here}
    hidden["mlflow.artifactLocation"] = here
    first, second = f"tr-{secrets.token_hex(16)}", f"tr-{secrets.token_hex(16)}"
    made = Request("POST", f"{V3}/traces", data=trace_body(own.experiment, first, tags={**hidden, "kept": "1"}))
    attributes = {f"mlflow.traceTag.{key}": json.dumps(value) for key, value in {**hidden, "kept": "1"}.items()}
    for request in (made, spans_request(own.experiment, second, attributes=attributes)):
        assert send(mlflow, ATTACKER, request).status_code == 200
    for trace in (first, second):
        tags = mlflow.direct("GET", f"{V3}/traces/{trace}").json()["trace"]["trace_info"]["tags"]
        assert tags.get("kept") in ("1", '"1"')
        assert "mlflow.trace.archiveLocation" not in tags
        assert tags.get("mlflow.trace.spansLocation") != "ARCHIVE_REPO"
        assert str(tags["mlflow.artifactLocation"]).startswith(f"mlflow-artifacts:/{own.experiment}/")
        for key, value in hidden.items():
            answer = mlflow.ask(ATTACKER, "PATCH", f"{V3}/traces/{trace}/tags", json={"key": key, "value": value})
            assert answer.status_code in (400, 403)
    gone = {"experiment_id": own.experiment, "request_ids": [first, second]}
    assert mlflow.ask(ATTACKER, "POST", f"{V3}/traces/delete-traces", json=gone).json() == {"traces_deleted": 2}


def test_an_assessment_takes_nobodys_place(mlflow, theirs, own):
    """MLflow would write over the one that has the id already, whichever trace it belongs to."""
    for key in ("assessment_id", "assessmentId"):
        said = feedback("mine", trace_id=own.trace, **{key: theirs.assessment})
        for path, data in (
            (f"{V3}/traces", trace_body(own.experiment, own.trace, assessments=[said])),
            (f"{V3}/traces/{own.trace}/assessments", {"assessment": said}),
        ):
            assert mlflow.ask(ATTACKER, "POST", path, json=data).status_code == 200
    over = feedback("other", trace_id=own.trace, overrides=theirs.assessment)
    answer = mlflow.ask(ATTACKER, "POST", f"{V3}/traces/{own.trace}/assessments", json={"assessment": over})
    assert answer.status_code == 404
    answer = mlflow.ask(ATTACKER, "GET", f"{V3}/traces/{own.trace}/assessments/{theirs.assessment}")
    assert (answer.status_code, SECRET in answer.text) == (404, False)


def _connection(mlflow):
    address = urlsplit(mlflow.proxy)
    return http.client.HTTPConnection(str(address.hostname), address.port or 80, timeout=10), address.path


def test_no_writing_of_an_address_gets_around_the_rules(mlflow, theirs, own):
    files = f"{FILES}/artifacts"
    paths = [f"{files}/{own.experiment}/{up}/{theirs.file}" for up in ("..", "%2e%2e", "%252e%252e", "%25252e%25252e")]
    paths += [f"{files}/{own.experiment}{slash}..{slash}{theirs.file}" for slash in ("%2f", "%252f", "%5c", "\\")]
    paths += [f"{files}/{each}{theirs.file}" for each in ("/", "./", "%2f", "mlflow-artifacts:/", "~/", "%00/")]
    paths += [f"{files}?path={own.experiment}%2F..%2F{theirs.file}", f"{files}?path=&path={theirs.experiment}"]
    paths += [f"{files}?path={own.experiment}/%252e%252e/{theirs.experiment}"]
    paths += [f"{V2}/runs/get;run_id={theirs.run}?run_id={own.run}", f"{V2}/runs/get%3Frun_id={theirs.run}"]
    paths += [f"{V2}/runs/get?run_id={own.run}&run%5Fid={theirs.run}", f"{V2}/./runs/get?run_id={theirs.run}"]
    paths += [f"{V2}/runs/get?run_id={theirs.run}%00", f"{V2}/runs/get?run_id=%20{theirs.run}"]
    paths += [f"{V2}/experiments/get?experiment_id={each}{theirs.experiment}" for each in ("0", "%2B", "%20", "1e0&x=")]
    paths += [f"{V2}/logged-models/{theirs.model}%2Ftags", f"{V2}/%72uns/get?run_id={theirs.run}", f"{V2}//runs/get"]
    paths += [f"{V2}/artifacts/list?run_id={own.run}&path=../../{theirs.run}/artifacts"]
    paths += [f"{V2}/artifacts/list?run_id={own.run}&path=%252e%252e/%252e%252e/{theirs.run}"]
    paths += [f"{V2}/logged-models/{own.model}/artifacts/directories?artifact_directory_path=../../../{theirs.run}"]
    for path in paths:
        for method in ("GET", "PUT", "DELETE"):
            connection, prefix = _connection(mlflow)
            connection.putrequest(method, prefix + path, skip_accept_encoding=True)
            connection.putheader("Authorization", f"Bearer {ATTACKER}")
            connection.putheader("Content-Length", "0")
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read().decode("utf-8", "replace")
            connection.close()
            assert answer.status in (400, 404, 500), (method, path, answer.status, body)
            assert answer.status != 500 or "artifacts/list" in path, (method, path, body)
            assert SECRET not in body, (method, path)
    connection, prefix = _connection(mlflow)
    connection.putrequest("GET", f"{prefix}%2Fversion")
    connection.putheader("Authorization", f"Bearer {ATTACKER}")
    connection.endheaders()
    assert connection.getresponse().status in (400, 404)
    connection.close()
