"""Which calls of MLflow's REST API pass through the portal, which of them only read, and what each speaks about.

An allow-list: what is not named here is answered as if the server did not have it. Left out on purpose: the gateway and
its secrets, webhooks (calls to any address), jobs, the assistant, workspaces, and what no released client needs.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, unquote

V2, V3, FILES = "/api/2.0/mlflow", "/api/3.0/mlflow", "/api/2.0/mlflow-artifacts"
TEAM_TAG = "slipway.team"
# Written by the portal when a run or model is made, from the token; nobody changes them afterwards.
STAMPED = ("slipway.team", "slipway.user", "slipway.environment_id")


class Kind(StrEnum):
    """What an id in a request is an id of."""

    EXPERIMENT = "experiment"
    EXPERIMENT_NAME = "experiment name"
    RUN = "run"
    LOGGED_MODEL = "logged model"
    TRACE = "trace"
    REGISTERED_MODEL = "registered model"


@dataclass(frozen=True)
class Reference:
    kind: Kind
    value: str


@dataclass(frozen=True)
class Rule:
    """`reads` are methods a token of scope read may use. `free` calls speak about nothing that belongs to a team."""

    path: re.Pattern[str]
    methods: frozenset[str]
    reads: frozenset[str]
    free: bool = False
    streams: bool = False  # the body is a file, not JSON
    names: Kind | None = None  # what a field called `name` means


@dataclass(frozen=True)
class Call:
    """One request, understood: the rule it falls under, its JSON, and everything it speaks about."""

    rule: Rule
    method: str
    path: str
    data: dict[str, Any] | None
    references: frozenset[Reference]

    @property
    def is_read(self) -> bool:
        return self.method in self.rule.reads

    def is_(self, tail: str) -> bool:
        return self.path == V2 + tail


class NotUnderstood(Exception):
    """The request cannot be read the way MLflow would read it."""


def _rule(
    path: str,
    reads: str = "",
    writes: str = "",
    *,
    free: bool = False,
    streams: bool = False,
    names: Kind | None = None,
) -> Rule:
    reading = frozenset(reads.split()) | (frozenset({"HEAD"}) if "GET" in reads else frozenset())
    return Rule(re.compile(path), reading | frozenset(writes.split()), reading, free, streams, names)


_TRACES = r"/api/[23]\.0/mlflow/traces"
RULES = [
    _rule(r"/(version|health)|/api/3\.0/mlflow/server-info", "GET", free=True),
    # Answers are filtered by team.
    _rule(rf"{V2}/experiments/search", "GET POST", free=True),
    _rule(rf"{V2}/registered-models/search", "GET", free=True),
    _rule(rf"{V2}/model-versions/search", "GET", free=True),
    _rule(rf"{V2}/experiments/create", "", "POST", free=True),  # the name is checked
    _rule(rf"{V2}/experiments/get-by-name", "GET"),
    _rule(rf"{V2}/experiments/get", "GET"),
    _rule(rf"{V2}/experiments/search-datasets", "POST"),
    _rule(rf"{V2}/experiments/(delete|restore|update|set-experiment-tag|delete-experiment-tag)", "", "POST"),
    _rule(rf"{V2}/runs/get", "GET"),
    _rule(rf"{V2}/runs/search", "POST"),
    _rule(
        rf"{V2}/runs/(create|update|delete|restore|log-metric|log-parameter|set-tag|delete-tag|log-batch|log-model"
        r"|log-inputs|outputs)",
        "",
        "POST",
    ),
    _rule(rf"{V2}/artifacts/list", "GET"),
    _rule(rf"{V2}/metrics/get-history(-bulk-interval)?", "GET"),
    _rule(rf"{V2}/logged-models/search", "POST"),
    _rule(rf"{V2}/logged-models", "", "POST"),
    _rule(rf"{V2}/logged-models/(?P<model_id>[^/]+)", "GET", "PATCH DELETE"),
    _rule(rf"{V2}/logged-models/(?P<model_id>[^/]+)/(tags|params)(/[^/]+)?", "", "PATCH DELETE POST"),
    _rule(rf"{V2}/logged-models/(?P<model_id>[^/]+)/artifacts/directories", "GET"),
    _rule(rf"{_TRACES}/(search|batchGetInfos|calculate-filter-correlation|metrics)", "POST"),
    _rule(rf"{_TRACES}/(get|batchGet)", "GET"),
    _rule(rf"{_TRACES}/(delete-traces|link-to-run)", "", "POST"),
    _rule(_TRACES, "GET", "POST"),
    _rule(rf"{_TRACES}/(?P<trace_id>[^/]+)(/info)?", "GET", "PATCH"),
    _rule(rf"{_TRACES}/(?P<trace_id>[^/]+)/tags", "", "PATCH DELETE"),
    _rule(rf"{_TRACES}/(?P<trace_id>[^/]+)/assessments(/[^/]+)?", "GET", "POST PATCH DELETE"),
    _rule(r"/v1/traces", "", "POST", streams=True),
    _rule(rf"{V2}/registered-models/create", "", "POST", free=True),  # the team is stamped
    _rule(
        rf"{V2}/registered-models/(get|get-latest-versions)", "GET POST", names=Kind.REGISTERED_MODEL
    ),
    _rule(
        rf"{V2}/registered-models/(rename|update|delete|set-tag|delete-tag)",
        "",
        "POST PATCH DELETE",
        names=Kind.REGISTERED_MODEL,
    ),
    _rule(rf"{V2}/registered-models/alias", "GET", "POST DELETE", names=Kind.REGISTERED_MODEL),
    _rule(rf"{V2}/model-versions/(get|get-download-uri)", "GET", names=Kind.REGISTERED_MODEL),
    _rule(
        rf"{V2}/model-versions/(create|update|transition-stage|delete|set-tag|delete-tag)",
        "",
        "POST PATCH DELETE",
        names=Kind.REGISTERED_MODEL,
    ),
    _rule(rf"{FILES}/artifacts", "GET"),
    _rule(rf"{FILES}/(artifacts|presigned)/(?P<artifact>.+)", "GET", "PUT DELETE", streams=True),
    _rule(rf"{FILES}/mpu/(create|complete|abort)/(?P<artifact>.+)", "", "POST"),
]  # fmt: skip

# Field names as protobuf's JSON reader takes them: `experiment_id` and `experimentId` are one. Compared without
# underscores and case.
_FIELDS = {
    "experimentid": Kind.EXPERIMENT,
    "experimentids": Kind.EXPERIMENT,
    "sourceexperimentids": Kind.EXPERIMENT,
    "experimentname": Kind.EXPERIMENT_NAME,
    "runid": Kind.RUN,
    "runuuid": Kind.RUN,
    "runids": Kind.RUN,
    "sourcerunid": Kind.RUN,
    "modelid": Kind.LOGGED_MODEL,
    "modelids": Kind.LOGGED_MODEL,
    "traceid": Kind.TRACE,
    "traceids": Kind.TRACE,
    "requestid": Kind.TRACE,
    "requestids": Kind.TRACE,
}
# Stores of an MLflow server of one's own, which its clients reach directly; prompts have a source only in name.
_OUTSIDE = {"s3:", "gs:", "wasbs:", "abfss:", "hdfs:", "dummy-source"}
_SOURCES = {"mlflow-artifacts:": Kind.EXPERIMENT, "runs:": Kind.RUN, "models:": Kind.LOGGED_MODEL}


def rule_find(method: str, path: str) -> Rule | None:
    return next((rule for rule in RULES if method in rule.methods and rule.path.fullmatch(path)), None)


def call_read(*, rule: Rule, method: str, path: str, query: str, body: bytes, experiment_header: str = "") -> Call:
    """Understand a request. `path` is decoded and without the portal's prefix; `body` is empty where it is a file."""
    data: dict[str, Any] | None = None
    if body.strip():
        try:
            data = json.loads(body)
            data = json.loads(data) if isinstance(data, str) else data  # old clients encode twice; MLflow takes it
        except ValueError:
            raise NotUnderstood("The body is not JSON") from None
        if not isinstance(data, dict):
            raise NotUnderstood("The body is not a JSON object")
    arguments = parse_qsl(query, keep_blank_values=True)
    found = set(_references(data or {}, rule)) | {
        reference for key, value in arguments for reference in _of_field(key, value, rule)
    }
    match = rule.path.fullmatch(path)
    for key, value in (match.groupdict() if match else {}).items():
        found |= (
            {Reference(Kind.EXPERIMENT, artifact_experiment(value))}
            if key == "artifact"
            else set(_of_field(key, value, rule))
        )
    if path == f"{FILES}/artifacts":
        found |= {Reference(Kind.EXPERIMENT, artifact_experiment(v)) for k, v in arguments if k == "path"}
    if rule.streams and experiment_header:
        found.add(Reference(Kind.EXPERIMENT, experiment_header))
    return Call(rule, method, path, data, frozenset(found))


def artifact_experiment(path: str) -> str:
    """The experiment whose folder an artifact path lies in: its first part. Decodes as often as MLflow does."""
    while (decoded := unquote(path)) != path:
        path = decoded
    parts = path.strip("/").split("/")
    if (
        any(part in ("", ".", "..") or "\\" in part for part in parts)
        or not parts[0].isascii()
        or not parts[0].isdigit()
    ):
        raise NotUnderstood("An artifact path is <experiment id>/<run id or models>/...")
    return parts[0]


def _references(data: Any, rule: Rule, *, top: bool = True) -> Iterator[Reference]:
    if isinstance(data, list):
        for entry in data:
            yield from _references(entry, rule, top=False)
    elif isinstance(data, dict):
        for key, value in data.items():
            if isinstance(value, dict | list) and not (isinstance(value, list) and _is_plain(value)):
                yield from _references(value, rule, top=False)
            else:
                # `name` names the thing itself only at the top: deeper it is a metric's or a file's.
                yield from _of_field(key, value, rule, top=top)


def _is_plain(values: list[Any]) -> bool:
    return all(isinstance(value, str | int) for value in values)


def _of_field(key: str, value: Any, rule: Rule, *, top: bool = True) -> Iterator[Reference]:
    plain = key.replace("_", "").lower()
    kind = _FIELDS.get(plain) or (rule.names if plain == "name" and top else None)
    if plain == "source" and rule.names is Kind.REGISTERED_MODEL:
        if str(value).partition("/")[0] not in _OUTSIDE:
            yield _source(str(value))
    elif kind is not None:
        for each in value if isinstance(value, list) else [value]:
            if each not in ("", None):
                yield Reference(kind, str(each))


def _source(source: str) -> Reference:
    """What a model version is made from: a URI of MLflow's own storage, and nothing of the server's disk."""
    scheme, _, rest = source.partition("/")
    kind = _SOURCES.get(scheme)
    if kind is None or rest.startswith("/"):
        raise NotUnderstood("A model's source is a mlflow-artifacts:/, runs:/ or models:/ address")
    if kind is Kind.EXPERIMENT:
        return Reference(kind, artifact_experiment(rest))
    first = rest.split("/")[0]
    if kind is Kind.LOGGED_MODEL and not first.startswith("m-"):  # models:/<name>/<version or @alias>
        return Reference(Kind.REGISTERED_MODEL, first.partition("@")[0])
    return Reference(kind, first)
