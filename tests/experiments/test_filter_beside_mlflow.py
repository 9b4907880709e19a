"""MLflow's own filters mean in the index what they mean at MLflow: both are asked, and must find the same runs."""

import secrets

import pytest
from django.db import transaction

from apps.experiments.filters import filter_parse, filter_q
from apps.experiments.models import Experiment, Run
from apps.experiments.services.indexing import index_runs
from tests.experiments.conftest import Server

pytestmark = pytest.mark.django_db

LONG = "x" * 400
# Metrics, parameters, tags, data sets (name, digest, context) of each run; and how it ended.
RUNS: list[dict[str, object]] = [
    {"metrics": {"auc": 0.5, "val/acc": 1}, "params": {"lr": "0.1", "kind": "adam"}, "tags": {"stage": "a"}},
    {"metrics": {"auc": 0.9}, "params": {"lr": "0.10", "kind": "Adam"}, "tags": {"stage": "b", "a b": "c d"}},
    {"metrics": {"auc": -0.0}, "params": {"lr": "1e-1"}, "tags": {"a.b": "dotted"}, "data": [("mnist", "d1", "train")]},
    {"metrics": {"auc": "NaN"}, "params": {"lr": ""}, "data": [("mnist", "d2", "test"), ("cifar", "d3", "train")]},
    {"metrics": {"auc": "Infinity"}, "params": {"lr": "it's"}, "tags": {"quote": 'say "hi"'}},
    {"metrics": {"auc": "-Infinity"}, "params": {"lr": "100%"}, "tags": {"percent": "100%_sure"}},
    {"metrics": {"auc": 1e-300, "step": 10**15}, "params": {"lr": "a_b"}, "name": "über_Run 1"},
    {"metrics": {"auc": 0.1 + 0.2}, "params": {"long": LONG}, "name": "it's"},
    {"metrics": {}, "params": {"long": LONG + "y", "Lr": "0.1"}, "tags": {"back:slash": "C:\\temp"}},
    {"metrics": {"auc": 0.3}, "params": {"lr": "line\nbreak"}, "status": "FAILED", "tags": {"empty": ""}},
    {"metrics": {"auc": 5}, "params": {"lr": "Ünïcode 😀"}, "status": "KILLED", "data": [("MNIST", "D1", "train")]},
    {"metrics": {"auc": 0.5}, "params": {}, "status": "RUNNING"},
]
FILTERS = [
    "",
    "metrics.auc > 0.5", "metrics.auc >= 0.5", "metrics.auc = 0.5", "metrics.auc != 0.5", "metrics.auc < 0.3",
    "metrics.auc <= 0.30000000000000004", "metrics.auc = 0.3", "metrics.auc = 0", "metric.auc > -1e-5",
    "metrics.auc > 1e300", "metrics.auc < -10", "metrics.`val/acc` = 1", 'metrics."val/acc" < 2',
    "metrics.step >= 1000000000000000", "metrics.absent != 3", "metrics.auc > .2", "metrics.auc=0.5",
    "params.lr = '0.1'", 'params.lr = "0.1"', "params.lr != '0.1'", "parameter.lr = ''", "params.lr = \"it's\"",
    "params.lr LIKE '%'", "params.lr LIKE '0.1_'", "params.lr LIKE '100%'", "params.lr LIKE '100\\%'",
    "params.lr LIKE 'a\\_b'", "params.lr LIKE 'a_b'", "params.kind LIKE 'a%'", "params.kind ILIKE 'a%'",
    "params.kind like 'adam'", "params.kind IS NULL", "params.kind IS NOT NULL", "params.Lr = '0.1'",
    f"params.long = '{LONG}'", f"params.long = '{LONG}y'", f"params.long != '{LONG}'", "params.long LIKE '%y'",
    "params.lr LIKE '%\n%'", "params.lr ILIKE '%ünï%'", "params.lr LIKE '%😀'",
    "tags.stage = 'a'", "tag.stage != 'a'", "tags.`a b` = 'c d'", 'tags."a b" LIKE \'c%\'', "tags.a.b = 'dotted'",
    "tags.`a.b` = 'dotted'", "tags.quote = 'say \"hi\"'", "tags.percent LIKE '100\\%%'", "tags.empty = ''",
    "tags.empty IS NOT NULL", "tags.`back:slash` = 'C:\\temp'", "tags.stage IS NULL", "tags.stage is not null",
    'tags.mlflow.runName = "it\'s"', "tags.`mlflow.runName` LIKE 'ü%'", "tags.mlflow.user = 'somebody'",
    "attributes.status = 'FINISHED'", "status != 'FINISHED'", "status LIKE 'F%'", "attr.status = 'finished'",
    "run.status ILIKE 'fin%'", "attributes.run_name = \"it's\"", "run_name LIKE '%Run%'", "`run name` LIKE '%Run%'",
    "run_name != \"it's\"", "user_id = 'somebody'", "user_id != 'somebody'",
    "start_time > 0", "attributes.start_time <= 1700000000000", "start_time != 1700000000001", "end_time > 0",
    "Created >= 1700000000005", "start_time < 1700000000003.5",
    "datasets.name = 'mnist'", "dataset.name != 'mnist'", "datasets.name LIKE 'm%'", "datasets.name ILIKE 'MN%'",
    "datasets.name IN ('mnist', 'nothing')", "datasets.digest NOT IN ('d1', 'd2')", "datasets.digest = 'd3'",
    "datasets.context = 'train'", "datasets.context != 'train'",
    "metrics.auc > 0.2 AND params.lr = '0.1'", "metrics.auc > 0.2 and tags.stage = 'b' and status = 'FINISHED'",
    "params.lr = '0.1' AND params.kind = 'adam' AND tags.stage = 'a' AND metrics.auc <= 0.5",
    "datasets.name = 'mnist' AND datasets.digest = 'd3'",
]  # fmt: skip


@pytest.fixture(scope="module")
def logged(mlflow_server: Server) -> tuple[str, list[str]]:
    """An experiment at MLflow and its runs."""
    server, name = mlflow_server, f"filters-{secrets.token_hex(4)}"
    experiment = _post(server, "experiments/create", {"name": name})["experiment_id"]
    return experiment, [_log(server, experiment, number, run) for number, run in enumerate(RUNS)]


def _post(server: Server, path: str, body: dict[str, object]) -> dict[str, str]:
    answer = server.direct("POST", f"/api/2.0/mlflow/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def _log(server: Server, experiment: str, number: int, run: dict[str, object]) -> str:
    start = 1_700_000_000_000 + number
    asked = {"experiment_id": experiment, "start_time": start, "user_id": "somebody" if number % 2 else "other"}
    run_id = _post(server, "runs/create", {**asked, "run_name": run.get("name", f"run-{number}")})["run"]["info"][
        "run_id"
    ]  # type: ignore[index]
    pairs = {
        kind: [{"key": key, "value": value} for key, value in run.get(kind, {}).items()]  # type: ignore[attr-defined]
        for kind in ("params", "tags")
    }
    metrics = [
        {"key": key, "value": value, "timestamp": start, "step": 0}
        for key, value in run["metrics"].items()  # type: ignore[attr-defined]
    ]
    _post(server, "runs/log-batch", {"run_id": run_id, "metrics": metrics, **pairs})
    for dataset, digest, context in run.get("data", ()):  # type: ignore[attr-defined]
        given = {"name": dataset, "digest": digest, "source_type": "local", "source": "x"}
        tags = [{"key": "mlflow.data.context", "value": context}]
        _post(server, "runs/log-inputs", {"run_id": run_id, "datasets": [{"dataset": given, "tags": tags}]})
    status = run.get("status", "FINISHED")
    if status != "RUNNING":
        _post(server, "runs/update", {"run_id": run_id, "status": status, "end_time": start + 1000})
    return run_id


@pytest.fixture
def indexed(mlflow_server: Server, logged: tuple[str, list[str]]) -> Experiment:
    experiment, _ = logged
    made = Experiment.objects.create(id=experiment, name="filters")
    answer = _post(mlflow_server, "runs/search", {"experiment_ids": [experiment], "max_results": 1000})
    with transaction.atomic():
        index_runs(answer["runs"])  # type: ignore[arg-type]
    assert Run.objects.filter(experiment=made).count() == len(RUNS)
    return made


def test_the_same_runs_are_found(mlflow_server: Server, indexed: Experiment) -> None:
    wrong = []
    for text in FILTERS:
        body = {"experiment_ids": [indexed.pk], "filter": text, "max_results": 1000}
        answer = mlflow_server.direct("POST", "/api/2.0/mlflow/runs/search", json=body)
        if answer.status_code != 200:
            wrong.append(answer.text)
            continue
        theirs = sorted(run["info"]["run_id"] for run in answer.json().get("runs", ()))
        for scope in ("", indexed.pk):
            rows = Run.objects.filter(filter_q(filter_parse(text), experiment_id=scope), experiment=indexed)
            if theirs != sorted(rows.values_list("run_id", flat=True)):
                wrong.append(text)
    assert wrong == [], wrong


def test_not_is_everything_else(indexed: Experiment) -> None:
    everything = set(Run.objects.values_list("pk", flat=True))
    more = ["duration > 0.5s", "lr", "tags.stage = a OR metrics.auc > 0.5", "params.lr > 0.05", "params.lr != 0.1"]
    for text in [*filter(None, FILTERS), *more]:
        node = filter_parse(text)
        found = set(Run.objects.filter(filter_q(node)).values_list("pk", flat=True))
        other = set(Run.objects.filter(filter_q(filter_parse(f"NOT ({text})"))).values_list("pk", flat=True))
        assert found | other == everything, text
        assert not found & other, text


def test_or_is_what_either_finds(indexed: Experiment) -> None:
    def found(text: str, scope: str = "") -> set[int]:
        return set(Run.objects.filter(filter_q(filter_parse(text), experiment_id=scope)).values_list("pk", flat=True))

    texts = list(filter(None, FILTERS))
    for first, second, third in zip(texts, texts[7:] + texts[:7], texts[23:] + texts[:23], strict=True):
        wanted = (found(first) & found(second)) | found(third)
        for scope in ("", indexed.pk):
            text = f"({first} AND {second}) OR {third}"
            assert found(text, scope) == wanted, text
            assert not found(f"NOT ({text})", scope) & wanted, text


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("params.lr = 0.1", {0, 1, 2}),
        ("params.lr <= 0.1 OR status = killed", {0, 1, 2, 10}),
        ("metrics.auc = nan", {3}),
        ("metrics.auc = inf OR metrics.auc = -inf", {4, 5}),
        ("metrics.auc IS NULL", {8}),
        ("metrics.`val/acc` IS NOT NULL", {0}),
        ("duration = 1s AND NOT status = finished", {9, 10}),
        ("duration IS NULL", {11}),
        ("adam", {0, 1}),
        ('"c d"', {1}),
        ("start_time > last 7 days", set()),
        ("start_time = 2023-11-14", set(range(12))),
        ("(tags.stage = a OR tags.stage = b) AND NOT params.kind = adam", {1}),
        ("params.lr IN ('0.1', '100%')", {0, 5}),
        ("params.lr IN (0.1)", {0, 1, 2}),
        ("params.kind NOT IN (adam)", {1}),
        ("params.kind NOT LIKE 'a%'", {1}),
        ("experiment = filters AND metrics.auc > 0.8", {1, 4, 10}),
        ("status IN (failed, killed)", {9, 10}),
    ],
)
def test_what_mlflow_cannot_ask(
    logged: tuple[str, list[str]], indexed: Experiment, text: str, numbers: set[int]
) -> None:
    found = Run.objects.filter(filter_q(filter_parse(text))).values_list("run_id", flat=True)
    assert {logged[1].index(run_id) for run_id in found} == numbers
