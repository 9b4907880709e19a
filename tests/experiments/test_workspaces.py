"""MLflow's workspaces: whose what lies in them is, and what the route lets pass.

Teams here are vision, churn and pricing. There are workspaces vision and pricing; research is one of no team, and team
churn has none, so its things lie in `default`.
"""

import http.client
import json
import secrets
import subprocess
import sys
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import ClientSession, web

from apps.core import proxying
from apps.experiments.mlflow_ownership import team_of_experiment, team_of_model
from apps.experiments.mlflow_proxy import MlflowProxy
from apps.experiments.mlflow_rules import Kind, Reference, call_read, rule_find
from apps.experiments.mlflow_workspaces import call_indexed
from tests.core.serving import aiohttp_served, asgi_served
from tests.experiments.conftest import ROOT, Server, clean_environment
from tests.experiments.mlflow_attacks import FILES, NOW, V2, V3, Things, requests_of, spans_request, trace_body
from tests.experiments.proxy_process import authenticate
from tests.experiments.test_mlflow_every_call import files_of, plant, rows_of, send, told
from tests.experiments.workspace_server import HEADER, WorkspaceServer, route, server

__all__ = ["route", "server"]
pytestmark = pytest.mark.slow
OWNER, ATTACKER, READER = "dana-notebook", "mallory-notebook", "ada"


def asked(route: Server, token: str, method: str, path: str, workspace: str = "", **options: Any) -> Any:
    headers = {HEADER: workspace} if workspace else {}
    return route.ask(token, method, path, headers=headers, **options)


def places_of(server: WorkspaceServer, experiment: str) -> list[str]:
    path = f"{V2}/experiments/get?experiment_id={experiment}"
    every = ("default", "vision", "pricing", "research")
    return [each for each in every if server.direct("GET", path, headers={HEADER: each}).status_code == 200]


# Whose a thing is


@pytest.mark.parametrize(
    ("workspace", "name", "tag", "team"),
    [
        ("vision", "free", None, "vision"),
        ("vision", "pricing/x", "pricing", "vision"),
        ("research", "vision/x", "vision", "research"),  # which is no team: nobody's
        ("default", "vision/x", None, "vision"),
        ("default", "vision/x", "vision", "vision"),
        ("default", "free", "vision", None),
        ("default", "vision/x", "pricing", None),
        ("default", "free", None, None),
        ("", "free", "vision", "vision"),
        ("", "pricing/x", "vision", "vision"),
    ],
)
def test_the_workspace_says_whose_it_is_and_a_tag_alone_never(
    workspace: str, name: str, tag: str | None, team: str | None
) -> None:
    tags = [{"key": "slipway.team", "value": tag}] if tag else []
    assert team_of_experiment({"name": name, "tags": tags}, workspace) == team
    if workspace:
        assert team_of_model({"name": name.replace("/", "."), "tags": tags}, workspace) == team


def test_an_answer_about_another_workspace_than_was_asked_for_says_nothing() -> None:
    assert team_of_experiment({"name": "vision/x", "workspace": "default"}, "vision") is None


# The route


def test_what_a_team_makes_lies_in_its_workspace(route: WorkspaceServer) -> None:
    vision = route.experiment("dana-laptop", "vision/first")
    assert places_of(route, vision) == ["vision"]
    run = route.run("dana-laptop", vision)
    metric = {"run_id": run, "key": "loss", "value": 1.0, "timestamp": NOW}
    assert route.ask("dana-laptop", "POST", "runs/log-metric", json=metric).status_code == 200
    info = route.ask("dana-laptop", "GET", f"runs/get?run_id={run}").json()["run"]
    assert {"key": "slipway.team", "value": "vision"} in info["data"]["tags"]
    churn = route.experiment("dana-laptop", "churn/first")
    assert places_of(route, churn) == ["default"]
    assert route.run("dana-laptop", churn)


def test_a_client_finds_its_experiment_by_name_again(route: WorkspaceServer) -> None:
    name = f"vision/again-{secrets.token_hex(4)}"
    path = f"experiments/get-by-name?experiment_name={name}"
    assert route.ask("dana-laptop", "GET", path).status_code == 404
    made = route.ask("dana-laptop", "POST", "experiments/create", json={"name": name}).json()["experiment_id"]
    assert route.ask("dana-laptop", "GET", path).json()["experiment"]["experiment_id"] == made
    assert route.ask(ATTACKER, "GET", path).status_code == 404


def test_the_header_names_one_of_the_callers_workspaces_and_no_other(route: WorkspaceServer) -> None:
    name = f"free-{secrets.token_hex(4)}"
    made = asked(route, "dana-laptop", "POST", "experiments/create", "vision", json={"name": name})
    assert places_of(route, made.json()["experiment_id"]) == ["vision"]
    for workspace in ("pricing", "research", "nosuch", "churn", "Vision", "vision,pricing", "../vision"):
        for path in ("experiments/search?max_results=5", f"experiments/get-by-name?experiment_name={name}"):
            answer = asked(route, "dana-laptop", "GET", path, workspace)
            assert answer.status_code == 404, (workspace, answer.text)
        answer = asked(route, "dana-laptop", "POST", "experiments/create", workspace, json={"name": "vision/x"})
        assert answer.status_code == 404, workspace
    # An auditor looks everywhere, and makes nothing anywhere.
    assert asked(route, READER, "GET", f"experiments/get-by-name?experiment_name={name}", "vision").status_code == 200
    assert asked(route, READER, "POST", "experiments/create", "vision", json={"name": "x"}).status_code == 403


def test_of_two_headers_mlflow_hears_the_one_that_was_looked_at(route: WorkspaceServer) -> None:
    name = f"both-{secrets.token_hex(4)}"
    own, _ = (route.experiment_in(each, name) for each in ("vision", "pricing"))
    where = urlsplit(route.proxy)
    for first, second, status in (("vision", "pricing", 200), ("pricing", "vision", 404)):
        connection = http.client.HTTPConnection(str(where.hostname), where.port or 80, timeout=20)
        connection.putrequest("GET", f"{where.path}{V2}/experiments/get-by-name?experiment_name={name}")
        connection.putheader("Authorization", "Bearer dana-laptop")
        for value in (first, second):
            connection.putheader(HEADER, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert answer.status == status
        if status == 200:
            assert json.loads(answer.read())["experiment"]["experiment_id"] == own
        connection.close()


async def test_mlflow_hears_one_header_whatever_the_client_sends() -> None:
    heard = []

    async def answer(request: web.Request) -> web.Response:
        heard.append((request.path.rpartition("/mlflow/")[2], request.headers.getall(HEADER, [])))
        experiment = {"experiment_id": "1", "name": "a", "workspace": "vision"}
        run = {"info": {"run_id": "r1", "experiment_id": "1"}}
        listed = [{"name": "default"}, {"name": "vision"}]
        said = {"workspaces_enabled": True, "workspaces": listed, "run": run, "experiment": experiment}
        return web.json_response(said)

    upstream = web.Application()
    upstream.router.add_route("*", "/{path:.*}", answer)
    async with aiohttp_served(upstream) as server:
        proxy = MlflowProxy(upstream=f"http://{server}", authenticate=authenticate)
        async with asgi_served(proxy) as address, ClientSession() as client:
            for names in ([], ["vision"], ["vision", "default"]):
                headers = [("Authorization", "Bearer dana-laptop"), *((HEADER, name) for name in names)]
                url = f"http://{address}/mlflow{V2}/runs/log-metric"
                async with client.post(url, json={"run_id": "r1", "key": "loss"}, headers=headers) as done:
                    assert done.status == 200
        await proxying.upstream_session_close()
    assert [names for path, names in heard if path == "runs/log-metric"] == [["vision"]] * 3
    # Once for three calls: which workspaces there are, and whose the run is.
    assert len([path for path, _ in heard if path != "runs/log-metric"]) == 4


def test_names_and_tags_of_elsewhere_show_nothing(route: WorkspaceServer) -> None:
    """Written by somebody whom MLflow lets into these workspaces; every one claims to be vision's."""
    claims = {"slipway_team": "vision"}
    word = secrets.token_hex(4)
    hidden = [
        ("pricing", route.experiment_in("pricing", f"vision/a-{word}", **claims)),
        ("research", route.experiment_in("research", f"vision/b-{word}", **claims)),
        ("default", route.experiment_in("default", f"c-{word}", **claims)),
        ("default", route.experiment_in("default", f"vision/d-{word}", slipway_team="pricing")),
    ]
    seen = route.experiment_in("default", f"vision/e-{word}")
    for workspace, experiment in hidden:
        run = route.run_in(workspace, experiment)
        for path in (f"experiments/get?experiment_id={experiment}", f"runs/get?run_id={run}"):
            for header in ("", "vision", "default", workspace):
                assert asked(route, OWNER, "GET", path, header).status_code == 404, (workspace, header)
            assert route.ask(READER, "GET", path).status_code == 200, workspace
    assert route.ask(OWNER, "GET", f"experiments/get?experiment_id={seen}").status_code == 200
    found = {each["experiment_id"] for each in search(route, OWNER)}
    assert seen in found
    assert not found & {experiment for _, experiment in hidden}
    assert {experiment for _, experiment in hidden} <= {each["experiment_id"] for each in search(route, READER)}


def search(route: WorkspaceServer, token: str, noun: str = "experiments", workspace: str = "", size: int = 3) -> Any:
    """Every page of a search."""
    found: list[dict[str, Any]] = []
    token_of_page = ""
    while True:
        data = {"max_results": size, **({"page_token": token_of_page} if token_of_page else {})}
        answer = asked(route, token, "GET", f"{noun}/search", workspace, params=data)
        assert answer.status_code == 200, answer.text
        found += answer.json().get(noun.replace("-", "_"), [])
        token_of_page = answer.json().get("next_page_token", "")
        if not token_of_page:
            return found


def test_a_search_reads_all_of_the_callers_workspaces_or_the_one_named(route: WorkspaceServer) -> None:
    vision, churn = route.experiment("dana-laptop", "vision/s"), route.experiment("dana-laptop", "churn/s")
    pricing = route.experiment(ATTACKER, "pricing/s")

    def found(token: str, workspace: str = "") -> set[str]:
        listed = [each["experiment_id"] for each in search(route, token, workspace=workspace)]
        assert len(listed) == len(set(listed))
        return set(listed) & {vision, churn, pricing}

    assert found("dana-laptop") == {vision, churn}
    assert found("dana-laptop", "vision") == {vision}
    assert found("dana-laptop", "default") == {churn}
    assert found(ATTACKER) == {pricing}
    assert found(READER) == {vision, churn, pricing}


def test_two_teams_have_a_model_of_the_same_name(route: WorkspaceServer) -> None:
    name = f"scores-{secrets.token_hex(4)}"
    for token in (OWNER, ATTACKER):
        made = route.ask(token, "POST", "registered-models/create", json={"name": name})
        assert made.status_code == 200, made.text
        tags = {tag["key"]: tag["value"] for tag in made.json()["registered_model"]["tags"]}
        assert tags["slipway.team"] == {OWNER: "vision", ATTACKER: "pricing"}[token]
    changed = route.ask(OWNER, "PATCH", "registered-models/update", json={"name": name, "description": "Ours."})
    assert changed.status_code == 200
    theirs = route.ask(ATTACKER, "GET", f"registered-models/get?name={name}").json()["registered_model"]
    assert theirs.get("description", "") == ""
    assert [each["name"] for each in search(route, OWNER, "registered-models")].count(name) == 1


def test_where_names_say_whose_a_thing_is_they_go_on_saying_it(route: WorkspaceServer) -> None:
    """In `default`, where team churn is."""
    ask = route.ask
    experiment = route.experiment("dana-laptop", "churn/kept")
    moved = {"experiment_id": experiment, "new_name": f"vision/{secrets.token_hex(4)}"}
    assert ask("dana-laptop", "POST", "experiments/update", json=moved).status_code == 403
    kept = {**moved, "new_name": f"churn/{secrets.token_hex(4)}"}
    assert ask("dana-laptop", "POST", "experiments/update", json=kept).status_code == 200
    claim = {"name": f"free-{secrets.token_hex(4)}", "tags": [{"key": "slipway.team", "value": "churn"}]}
    assert ask("dana-laptop", "POST", "registered-models/create", json=claim).status_code == 403
    name = f"churn.{secrets.token_hex(4)}"
    assert ask("dana-laptop", "POST", "registered-models/create", json={"name": name}).status_code == 200
    renamed = {"name": name, "new_name": name.replace("churn", "vision")}
    assert ask("dana-laptop", "POST", "registered-models/rename", json=renamed).status_code == 403
    assert ask("dana-laptop", "GET", f"registered-models/get?name={name}").status_code == 200


def test_files_lie_in_the_workspace_of_their_experiment(route: WorkspaceServer) -> None:
    experiment = route.experiment("dana-laptop", "vision/files")
    run = route.run("dana-laptop", experiment)
    info = route.ask("dana-laptop", "GET", f"runs/get?run_id={run}").json()["run"]["info"]
    folder = info["artifact_uri"].removeprefix("mlflow-artifacts:/")
    assert folder.startswith(f"workspaces/vision/{experiment}/")
    path = f"{FILES}/artifacts/{folder}/notes.txt"
    assert route.ask("dana-laptop", "PUT", path, data=b"by dana").status_code == 200
    assert route.ask("dana-laptop", "GET", path).content == b"by dana"
    listed = route.ask("dana-laptop", "GET", f"{FILES}/artifacts", params={"path": folder})
    assert [each["path"] for each in listed.json()["files"]] == ["notes.txt"]
    for header in ("", "pricing", "default", "vision"):
        for named in (folder, folder.replace("workspaces/vision/", ""), folder.replace("/vision/", "/pricing/")):
            for method in ("GET", "PUT", "DELETE"):
                there = f"{FILES}/artifacts/{named}/notes.txt"
                answer = asked(route, ATTACKER, method, there, header, data=b"x" if method == "PUT" else None)
                assert answer.status_code in (400, 404), (header, named, method)
    # One's own experiment does not open another's workspace.
    own = route.experiment(ATTACKER, "pricing/files")
    for workspace in ("vision", "research", "default"):
        crafted = f"{FILES}/artifacts/workspaces/{workspace}/{own}/x.txt"
        assert route.ask(ATTACKER, "PUT", crafted, data=b"x").status_code == 404, workspace
    assert route.ask("dana-laptop", "GET", path).content == b"by dana"


@pytest.fixture(scope="module")
def theirs(route: WorkspaceServer) -> Things:
    return plant(route, OWNER, "vision", "wren-house", "kingfisher-7f3a")


def test_every_call_about_another_workspace_is_refused_whichever_is_named(
    route: WorkspaceServer, theirs: Things
) -> None:
    rows, files = rows_of(route), files_of(route)
    for request in requests_of(theirs):
        if request.shared or request.route.endswith("/experiments/create"):
            continue
        for workspace in ("", "pricing", "default", "vision", "research"):
            named = {HEADER: workspace} if workspace else {}
            sent = replace(request, headers={**request.headers, **named})
            answer = send(route, ATTACKER, sent)
            what = (workspace, request.method, request.path, answer.status_code, answer.text[:300])
            assert answer.status_code in (400, 403, 404), what
            assert told(answer, request) == [], what
    assert rows - rows_of(route) == set()
    assert {path: digest for path, digest in files_of(route).items() if path in files} == files


@pytest.mark.parametrize("workspace", ["", "vision"])
def test_the_same_calls_are_their_owners(route: WorkspaceServer, workspace: str) -> None:
    some = plant(route, OWNER, "vision", f"given-{secrets.token_hex(3)}", "plain")
    for request in requests_of(some):
        named = {HEADER: workspace} if workspace else {}
        answer = send(route, OWNER, replace(request, headers={**request.headers, **named}))
        what = (request.method, request.path, request.payload, answer.status_code, answer.text[:500])
        assert answer.status_code in ((400, 501) if request.unsupported else (200,)), what


def test_a_trace_of_another_workspace_is_not_written_over(route: WorkspaceServer, theirs: Things) -> None:
    own = route.experiment(ATTACKER, "pricing/traces")

    def trace_rows() -> set[tuple[str, str]]:
        return {row for row in rows_of(route) if theirs.trace in row[1]}

    before = trace_rows()
    assert before
    answer = route.ask(ATTACKER, "POST", f"{V3}/traces", json=trace_body(own, theirs.trace, state="ERROR"))
    assert answer.status_code >= 400
    for run in ("", route.run(ATTACKER, own)):
        send(route, ATTACKER, spans_request(own, theirs.trace, run, name="theirs"))
    assert trace_rows() == before


def test_mlflows_own_client_works_as_at_a_server_without_workspaces(
    route: WorkspaceServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for workspace in ("", "vision"):
        word = secrets.token_hex(3)
        environment = clean_environment(
            MLFLOW_TRACKING_URI=route.proxy,
            MLFLOW_TRACKING_TOKEN=OWNER,
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="1",
            MLFLOW_DISABLE_TELEMETRY="true",
            **({"MLFLOW_WORKSPACE": workspace} if workspace else {}),
        )
        script = str(ROOT / "tests" / "experiments" / "client_script.py")
        done = subprocess.run(
            [sys.executable, "-W", "ignore", script, f"vision/client-{word}", f"vision.client-{word}"],
            cwd=tmp_path_factory.mktemp("client"),
            env=environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, (workspace, done.stdout[-500:], done.stderr[-3000:])
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"step"')]
        steps = {each["step"] for each in map(json.loads, lines)}
        assert {"runs", "datasets", "autolog", "models"} <= steps


def test_what_is_written_is_told_by_the_names_of_the_index() -> None:
    path, data = f"{V2}/registered-models/alias", {"name": "scores", "alias": "best", "version": "1"}
    rule = rule_find("POST", path)
    assert rule is not None
    call = call_read(rule=rule, method="POST", path=path, query="", body=json.dumps(data).encode())
    within = call_indexed(call, "vision")
    assert within.data == {**data, "name": "vision:scores"}
    assert within.references == {Reference(Kind.REGISTERED_MODEL, "vision:scores")}
    assert call_indexed(call, "default") is call_indexed(call, "") is call
