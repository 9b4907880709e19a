"""Which calls of MLflow's REST API pass through the portal, which of them only read, and what each speaks about.

An allow-list: what is not named here is answered as if the server did not have it. Left out on purpose: the gateway and
its secrets, webhooks (calls to any address), jobs, the assistant, workspaces, GraphQL and what else only MLflow's own
pages ask for, and things of MLflow that lie in no experiment (evaluation data sets, scorers, review queues, issues).
tests/experiments/test_mlflow_every_call.py says of every call of the server what becomes of it here.
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
# By these the server itself finds the files of a trace, to read and to delete them; nobody else may say where they are.
HIDDEN_TRACE_TAGS = (
    "mlflow.artifactLocation",
    "mlflow.trace.spansLocation",
    "mlflow.trace.archiveLocation",
    "mlflow.trace.archivalFailure",
)


class Kind(StrEnum):
    """What an id in a request is an id of."""

    EXPERIMENT = "experiment"
    EXPERIMENT_NAME = "experiment name"
    RUN = "run"
    LOGGED_MODEL = "logged model"
    TRACE = "trace"
    REGISTERED_MODEL = "registered model"
    WORKSPACE = "workspace"


@dataclass(frozen=True)
class Reference:
    kind: Kind
    value: str


@dataclass(frozen=True)
class Rule:
    """`reads` are methods a token of scope read may use. `free` calls speak about nothing that belongs to a team.

    `makes` is what a call makes under an id of the client's own choice: a free one, or that of a thing of the caller's.
    """

    path: re.Pattern[str]
    methods: frozenset[str]
    reads: frozenset[str]
    free: bool = False
    streams: bool = False  # the body is a file, not JSON
    names: Kind | None = None  # what a field called `name` means
    makes: Kind | None = None
    spans: bool = False  # the body is OpenTelemetry's


@dataclass(frozen=True)
class Call:
    """One request, understood: the rule it falls under, its JSON, and everything it speaks about."""

    rule: Rule
    method: str
    path: str
    data: dict[str, Any] | None
    references: frozenset[Reference]
    made: frozenset[Reference] = frozenset()

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
    makes: Kind | None = None,
    spans: bool = False,
) -> Rule:
    reading = frozenset(reads.split()) | (frozenset({"HEAD"}) if "GET" in reads else frozenset())
    return Rule(re.compile(path), reading | frozenset(writes.split()), reading, free, streams, names, makes, spans)


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
    _rule(_TRACES, "GET", "POST", makes=Kind.TRACE),
    _rule(rf"{_TRACES}/(?P<trace_id>[^/]+)(/info)?", "GET", "PATCH"),
    _rule(rf"{_TRACES}/(?P<trace_id>[^/]+)/tags", "", "PATCH DELETE"),
    _rule(rf"{_TRACES}/(?P<trace_id>[^/]+)/assessments(/[^/]+)?", "GET", "POST PATCH DELETE"),
    _rule(r"/v1/traces", "", "POST", makes=Kind.TRACE, spans=True),
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

_NO_RULE = _rule("")

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
# Fields whose keys or values are of the caller's own making: they name nothing.
_CALLERS_OWN = {"tags", "metadata", "tracemetadata", "requestmetadata", "value"}
# Stores of an MLflow server of one's own, which its clients reach directly; prompts have a source only in name.
_OUTSIDE = {"s3:", "gs:", "wasbs:", "abfss:", "hdfs:", "dummy-source"}
ARTIFACT_PATH = "An artifact path is <experiment id>/<run id or models>/..."
_SOURCES = {"mlflow-artifacts:": Kind.EXPERIMENT, "runs:": Kind.RUN, "models:": Kind.LOGGED_MODEL}


def rule_find(method: str, path: str) -> Rule | None:
    return next((rule for rule in RULES if method in rule.methods and rule.path.fullmatch(path)), None)


def call_read(*, rule: Rule, method: str, path: str, query: str, body: bytes) -> Call:
    """Understand a request. `path` is decoded and without the portal's prefix; `body` is empty where it is a file."""
    data: dict[str, Any] | None = None
    if body.strip():
        try:
            data = json.loads(body)
            data = json.loads(data) if isinstance(data, str) else data  # old clients encode twice; MLflow takes it
        except (ValueError, RecursionError):
            raise NotUnderstood("The body is not JSON") from None
        if not isinstance(data, dict):
            raise NotUnderstood("The body is not a JSON object")
    arguments = parse_qsl(query, keep_blank_values=True)
    found = set(_references(data or {}, rule)) | {
        reference for key, value in arguments for reference in _of_field(key, value, rule)
    }
    match = rule.path.fullmatch(path)
    for key, value in (match.groupdict() if match else {}).items():
        found |= _artifact(value, data) if key == "artifact" else set(_of_field(key, value, rule))
    if path == f"{FILES}/artifacts":
        named = [*arguments, *(data or {}).items()]
        found |= {each for k, v in named if k == "path" for each in artifact_references(str(v))}
    if any("\0" in reference.value for reference in found):
        raise NotUnderstood("A name holds no NUL")
    made = {reference for reference in found if method == "POST" and reference.kind is rule.makes}
    return Call(rule, method, path, data, frozenset(found - made), frozenset(made))


def spans_call(*, rule: Rule, experiment: str, run: str, traces: frozenset[Reference]) -> Call:
    """Spans go to the experiment, and where one is named to the run, of their two headers."""
    if not experiment:
        raise NotUnderstood("The header X-MLFLOW-EXPERIMENT-ID says which experiment spans belong to")
    found = {Reference(Kind.EXPERIMENT, experiment)} | ({Reference(Kind.RUN, run)} if run else set())
    return Call(rule, "POST", "/v1/traces", None, frozenset(found), traces)


def _artifact(path: str, data: dict[str, Any] | None) -> frozenset[Reference]:
    """What a file lies in; parts of one give its local path as well, whose last part becomes the file's name."""
    named = str((data or {}).get("path") or "x")
    if named.rpartition("/")[2] in ("", ".", "..") or "\0" in named:
        raise NotUnderstood("A file's own name has no folders in it")
    return artifact_references(path)


def artifact_references(path: str) -> frozenset[Reference]:
    """The experiment in whose folder an artifact path lies, and the workspace that it names before, if it does.

    Decodes as often as MLflow does.
    """
    while (decoded := unquote(path)) != path:
        path = decoded
    parts = path.strip("/").split("/")
    workspaces = {Reference(Kind.WORKSPACE, parts[1])} if parts[0] == "workspaces" and len(parts) > 2 else set()
    first = parts[2 if workspaces else 0]
    if any(part in ("", ".", "..") or "\\" in part for part in parts) or not first.isascii() or not first.isdigit():
        raise NotUnderstood(ARTIFACT_PATH)
    return frozenset({Reference(Kind.EXPERIMENT, first), *workspaces})


def references_in(data: dict[str, Any]) -> frozenset[Reference]:
    """What a JSON object or the arguments of a call speak about by its id."""
    return frozenset(_references(data, _NO_RULE))


def _references(data: Any, rule: Rule, *, top: bool = True) -> Iterator[Reference]:
    if isinstance(data, list):
        for entry in data:
            yield from _references(entry, rule, top=False)
    elif isinstance(data, dict):
        for key, value in data.items():
            plain = key.replace("_", "").lower()
            if plain in _CALLERS_OWN and not _is_list_of_pairs(value):
                continue
            if isinstance(value, dict | list) and plain not in _FIELDS:
                yield from _references(value, rule, top=False)
            else:
                # `name` names the thing itself only at the top: deeper it is a metric's or a file's.
                yield from _of_field(key, value, rule, top=top)


def _is_list_of_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _of_field(key: str, value: Any, rule: Rule, *, top: bool = True) -> Iterator[Reference]:
    plain = key.replace("_", "").lower()
    kind = _FIELDS.get(plain) or (rule.names if plain == "name" and top else None)
    if plain == "source" and rule.names is Kind.REGISTERED_MODEL:
        if str(value).partition("/")[0] not in _OUTSIDE:
            yield from _source(str(value))
    elif kind is not None:
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict | list) or (each is None and isinstance(value, list)):
                raise NotUnderstood(f"{key} is not an id or a list of ids")
            if each not in ("", None):
                yield Reference(kind, str(each))


def _source(source: str) -> frozenset[Reference]:
    """What a model version is made from: a URI of MLflow's own storage, and nothing of the server's disk.

    Read as MLflow reads it: `models:/<logged model id>`, `models:/<name>/<version or stage>`, `models:/<name>@<alias>`.
    """
    scheme, _, rest = source.partition("/")
    kind = _SOURCES.get(scheme)
    if kind is None or rest.startswith("/") or not source.isprintable() or re.search(r"[?#\\]", source):
        raise NotUnderstood("A model's source is a mlflow-artifacts:/, runs:/ or models:/ address")
    if kind is Kind.EXPERIMENT:
        return artifact_references(rest)
    first, *more = rest.split("/")
    if any(unquote(part) in ("", ".", "..") for part in more):
        raise NotUnderstood("A model's source names a file or folder, without . and ..")
    if kind is Kind.LOGGED_MODEL and more:
        return frozenset({Reference(Kind.REGISTERED_MODEL, first)})
    if kind is Kind.LOGGED_MODEL and "@" in first:
        return frozenset({Reference(Kind.REGISTERED_MODEL, first.rpartition("@")[0])})
    return frozenset({Reference(kind, first)})
