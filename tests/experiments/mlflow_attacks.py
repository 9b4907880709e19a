"""Every call of MLflow's REST API that the portal passes on, well formed, about a given team's things."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

V2, V3, FILES = "/api/2.0/mlflow", "/api/3.0/mlflow", "/api/2.0/mlflow-artifacts"
NOW = 1_790_000_000_000


@dataclass(frozen=True)
class Request:
    """`route` is the server's own pattern; `places` fill it."""

    method: str
    route: str
    places: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] | None = None
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    unsupported: bool = False  # by a server that keeps its files in a folder
    shared: bool = False  # speaks about nothing that belongs to a team

    @property
    def path(self) -> str:
        path = self.route
        for name, value in self.places.items():
            path = path.replace(f"{{{name}}}", quote(value, safe="/"))
        return path + (f"?{urlencode(self.query, doseq=True)}" if self.query else "")

    @property
    def payload(self) -> bytes | None:
        return self.body if self.data is None else json.dumps(self.data).encode()


@dataclass(frozen=True)
class Things:
    """What one team has, and by which names calls speak about it."""

    experiment: str
    experiment_name: str
    run: str
    model: str
    trace: str
    assessment: str
    registered: str

    @property
    def file(self) -> str:
        return f"{self.experiment}/{self.run}/artifacts/notes.txt"


def trace_body(experiment: str, trace: str, **more: Any) -> dict[str, Any]:
    location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
    info = {
        "trace_id": trace,
        "trace_location": location,
        "request_time": "2026-11-20T10:00:00Z",
        "execution_duration": "0.2s",
        "state": "OK",
    }
    return {"trace": {"trace_info": {**info, **more}}}


def feedback(name: str = "quality", **more: Any) -> dict[str, Any]:
    source = {"source_type": "HUMAN", "source_id": "somebody"}
    times = {"create_time": "2026-11-20T10:00:00Z", "last_update_time": "2026-11-20T10:00:00Z"}
    return {"assessment_name": name, "source": source, "feedback": {"value": True}, **times, **more}


def spans(trace: str, *, name: str = "step", attributes: dict[str, str] | None = None) -> Any:
    """One root span as OpenTelemetry's request."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = bytes.fromhex(trace.removeprefix("tr-")), secrets.token_bytes(8), name
    span.start_time_unix_nano, span.end_time_unix_nano = NOW * 1_000_000, (NOW + 5) * 1_000_000
    for key, value in (attributes or {}).items():
        attribute = span.attributes.add()
        attribute.key, attribute.value.string_value = key, value
    return request


def spans_request(experiment: str, trace: str, run: str = "", **more: Any) -> Request:
    headers = {"Content-Type": "application/x-protobuf", "X-MLFLOW-EXPERIMENT-ID": experiment}
    if run:
        headers["X-MLFLOW-RUN-ID"] = run
    return Request("POST", "/v1/traces", body=spans(trace, **more).SerializeToString(), headers=headers)


def requests_of(some: Things) -> list[Request]:
    """All of them once, such that they succeed in this order: what is made comes first, what is deleted last."""
    return [
        *_reading(some),
        *_runs(some),
        *_models(some),
        *_registry(some),
        *_traces(some),
        *_files(some),
        *_ends(some),
    ]


def _reading(some: Things) -> Iterator[Request]:
    experiment, run = {"experiment_id": some.experiment}, {"run_id": some.run}
    for path in ("/version", "/health", f"{V3}/server-info"):
        yield Request("GET", path, shared=True)
    for method in ("GET", "POST"):
        wanted: dict[str, Any] = {"max_results": 50}
        given: Any = {"query": wanted} if method == "GET" else {"data": wanted}
        yield Request(method, f"{V2}/experiments/search", **given, shared=True)
    yield Request("GET", f"{V2}/registered-models/search", query={"max_results": 50}, shared=True)
    yield Request("GET", f"{V2}/model-versions/search", query={"max_results": 50}, shared=True)
    yield Request("GET", f"{V2}/experiments/get", query=experiment)
    yield Request("GET", f"{V2}/experiments/get-by-name", query={"experiment_name": some.experiment_name})
    yield Request("GET", f"{V2}/runs/get", query=run)
    yield Request("POST", f"{V2}/runs/search", data={"experiment_ids": [some.experiment], "max_results": 10})
    yield Request("GET", f"{V2}/artifacts/list", query=run)
    yield Request("GET", f"{V2}/metrics/get-history", query={**run, "metric_key": "loss"})
    several = {"run_ids": [some.run], "metric_key": "loss", "max_results": 10}
    yield Request("GET", f"{V2}/metrics/get-history-bulk-interval", query=several)


def _runs(some: Things) -> Iterator[Request]:
    experiment, run = {"experiment_id": some.experiment}, {"run_id": some.run}
    name = f"{some.experiment_name}-{secrets.token_hex(3)}"
    yield Request("POST", f"{V2}/experiments/create", data={"name": name})
    tag = {"key": "stage", "value": "new"}
    yield Request("POST", f"{V2}/experiments/set-experiment-tag", data={**experiment, **tag})
    yield Request("POST", f"{V2}/experiments/delete-experiment-tag", data={**experiment, "key": "stage"})
    yield Request("POST", f"{V2}/experiments/update", data={**experiment, "new_name": some.experiment_name + "-b"})
    yield Request("POST", f"{V2}/experiments/update", data={**experiment, "new_name": some.experiment_name})
    yield Request("POST", f"{V2}/runs/create", data={**experiment, "start_time": NOW, "run_name": "second"})
    yield Request("POST", f"{V2}/runs/update", data={**run, "status": "RUNNING", "run_name": "renamed"})
    metric = {"key": "loss", "value": 0.25, "timestamp": NOW, "step": 7}
    yield Request("POST", f"{V2}/runs/log-metric", data={**run, **metric})
    yield Request("POST", f"{V2}/runs/log-parameter", data={**run, "key": "depth", "value": "3"})
    batch = {"metrics": [{**metric, "step": 8}], "params": [{"key": "width", "value": "4"}], "tags": [tag]}
    yield Request("POST", f"{V2}/runs/log-batch", data={**run, **batch})
    yield Request("POST", f"{V2}/runs/set-tag", data={**run, **tag})
    yield Request("POST", f"{V2}/runs/delete-tag", data={**run, "key": "stage"})
    described = {"run_id": some.run, "artifact_path": "m", "utc_time_created": "2026-11-20 10:00:00", "flavors": {}}
    yield Request("POST", f"{V2}/runs/log-model", data={**run, "model_json": json.dumps(described)})
    dataset = {"name": "rows", "digest": "ab12", "source_type": "local", "source": "{}"}
    inputs = {"datasets": [{"dataset": dataset}], "models": [{"model_id": some.model}]}
    yield Request("POST", f"{V2}/runs/log-inputs", data={**run, **inputs})
    yield Request("POST", f"{V2}/runs/outputs", data={**run, "models": [{"model_id": some.model, "step": 1}]})


def _models(some: Things) -> Iterator[Request]:
    here, models = {"model_id": some.model}, f"{V2}/logged-models"
    made = {"experiment_id": some.experiment, "name": "forest", "source_run_id": some.run}
    yield Request("POST", models, data=made)
    yield Request("POST", f"{models}/search", data={"experiment_ids": [some.experiment], "max_results": 10})
    yield Request("GET", f"{models}/{{model_id}}", here)
    yield Request("PATCH", f"{models}/{{model_id}}", here, data={"model_id": some.model, "status": 2})
    yield Request("GET", f"{models}/{{model_id}}/artifacts/directories", here)
    more = {"model_id": some.model, "params": [{"key": "trees", "value": "9"}]}
    yield Request("POST", f"{models}/{{model_id}}/params", here, data=more)
    tagged = {"tags": [{"key": "stage", "value": "new"}]}
    yield Request("PATCH", f"{models}/{{model_id}}/tags", here, data=tagged)
    yield Request("DELETE", f"{models}/{{model_id}}/tags/{{tag_key}}", {**here, "tag_key": "stage"})


def _registry(some: Things) -> Iterator[Request]:
    models, versions = f"{V2}/registered-models", f"{V2}/model-versions"
    name, version = {"name": some.registered}, {"name": some.registered, "version": "1"}
    tag = {"key": "tier", "value": "gold"}
    yield Request("POST", f"{models}/create", data={"name": f"{some.registered}-{secrets.token_hex(3)}"}, shared=True)
    yield Request("GET", f"{models}/get", query=name)
    yield Request("PATCH", f"{models}/update", data={**name, "description": "Better."})
    yield Request("POST", f"{models}/set-tag", data={**name, **tag})
    yield Request("DELETE", f"{models}/delete-tag", data={**name, "key": "tier"})
    made = {**name, "source": f"models:/{some.model}", "run_id": some.run, "model_id": some.model}
    yield Request("POST", f"{versions}/create", data=made)
    yield Request("GET", f"{versions}/get", query=version)
    yield Request("GET", f"{versions}/get-download-uri", query=version)
    yield Request("PATCH", f"{versions}/update", data={**version, "description": "First."})
    yield Request("POST", f"{versions}/set-tag", data={**version, **tag})
    yield Request("DELETE", f"{versions}/delete-tag", data={**version, "key": "tier"})
    yield Request("POST", f"{versions}/transition-stage", data={**version, "stage": "Staging"})
    for method in ("GET", "POST"):
        given: Any = {"query": name} if method == "GET" else {"data": name}
        yield Request(method, f"{models}/get-latest-versions", **given)
    alias = {**name, "alias": "next"}
    yield Request("POST", f"{models}/alias", data={**alias, "version": "1"})
    yield Request("GET", f"{models}/alias", query=alias)
    yield Request("DELETE", f"{models}/alias", data=alias)


def _traces(some: Things) -> Iterator[Request]:
    new, old = f"tr-{secrets.token_hex(16)}", f"tr-{secrets.token_hex(16)}"
    experiments = {"experiment_ids": [some.experiment]}
    yield spans_request(some.experiment, old, some.run)
    yield Request("POST", f"{V3}/traces", data=trace_body(some.experiment, new))
    times = {"experiment_id": some.experiment, "timestamp_ms": NOW, "request_metadata": [], "tags": []}
    yield Request("POST", f"{V2}/traces", data=times)
    ended = {"request_id": some.trace, "timestamp_ms": NOW + 9, "status": "OK", "request_metadata": [], "tags": []}
    yield Request("PATCH", f"{V2}/traces/{{request_id}}", {"request_id": some.trace}, data=ended)
    yield Request("GET", f"{V2}/traces/{{request_id}}/info", {"request_id": some.trace})
    yield Request("GET", f"{V2}/traces", query=experiments)
    locations = trace_body(some.experiment, "")["trace"]["trace_info"]["trace_location"]
    yield Request("POST", f"{V3}/traces/search", data={"locations": [locations], "max_results": 10})
    yield Request("GET", f"{V3}/traces/batchGet", query={"trace_ids": [some.trace]})
    yield Request("POST", f"{V3}/traces/batchGetInfos", data={"trace_ids": [some.trace]})
    both = {"filter_string1": "status = 'OK'", "filter_string2": "status = 'ERROR'"}
    yield Request("POST", f"{V3}/traces/calculate-filter-correlation", data={**experiments, **both})
    counted = {"view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]}
    yield Request("POST", f"{V3}/traces/metrics", data={**experiments, **counted})
    yield Request("GET", f"{V3}/traces/get", query={"trace_id": some.trace})
    here = {"trace_id": some.trace}
    yield Request("GET", f"{V3}/traces/{{trace_id}}", here)
    linked = {"trace_ids": [some.trace], "run_id": some.run}
    yield Request("POST", f"{V2}/traces/link-to-run", data=linked)
    for base, place in ((V2, {"request_id": some.trace}), (V3, here)):
        route = f"{base}/traces/{{{next(iter(place))}}}/tags"
        yield Request("PATCH", route, place, data={"key": "kind", "value": "x"})
        yield Request("DELETE", route, place, data={"key": "kind"})
    given = {**here, "assessment_id": some.assessment}
    one = f"{V3}/traces/{{trace_id}}/assessments/{{assessment_id}}"
    made = feedback("second", trace_id=some.trace)
    yield Request("POST", f"{V3}/traces/{{trace_id}}/assessments", here, data={"assessment": made})
    yield Request("GET", one, given)
    changed = {"assessment": feedback("third", trace_id=some.trace), "update_mask": "assessmentName"}
    yield Request("PATCH", one, given, data=changed)
    yield Request("DELETE", one, given)
    for base, each in ((V2, old), (V3, new)):
        gone = {"experiment_id": some.experiment, "request_ids": [each]}
        yield Request("POST", f"{base}/traces/delete-traces", data=gone)


def _files(some: Things) -> Iterator[Request]:
    here, plain = {"artifact_path": some.file}, {"Content-Type": "application/octet-stream"}
    yield Request("GET", f"{FILES}/artifacts", query={"path": f"{some.experiment}/{some.run}/artifacts"})
    yield Request("GET", f"{FILES}/artifacts/{{artifact_path}}", here)
    yield Request("PUT", f"{FILES}/artifacts/{{artifact_path}}", here, body=b"written over", headers=plain)
    part = {"path": "notes.txt", "num_parts": 1, "upload_id": "1", "parts": []}
    for what in ("create", "complete", "abort"):
        wanted = ("path", "num_parts") if what == "create" else ("path", "upload_id", "parts")
        data = {key: part[key] for key in wanted if what != "abort" or key != "parts"}
        yield Request("POST", f"{FILES}/mpu/{what}/{{artifact_path}}", here, data=data, unsupported=True)
    yield Request("GET", f"{FILES}/presigned/{{artifact_path}}", here, unsupported=True)
    yield Request("DELETE", f"{FILES}/artifacts/{{artifact_path}}", here)


def _ends(some: Things) -> Iterator[Request]:
    """Ends with everything gone, and with what can be had back there again."""
    run, experiment = {"run_id": some.run}, {"experiment_id": some.experiment}
    version = {"name": some.registered, "version": "1"}
    yield Request("DELETE", f"{V2}/model-versions/delete", data=version)
    renamed = f"{some.registered}-renamed"
    yield Request("POST", f"{V2}/registered-models/rename", data={"name": some.registered, "new_name": renamed})
    yield Request("POST", f"{V2}/registered-models/rename", data={"name": renamed, "new_name": some.registered})
    yield Request("DELETE", f"{V2}/registered-models/delete", data={"name": some.registered})
    yield Request("DELETE", f"{V2}/logged-models/{{model_id}}", {"model_id": some.model})
    for what in ("delete", "restore"):
        yield Request("POST", f"{V2}/runs/{what}", data=run)
    for what in ("delete", "restore"):
        yield Request("POST", f"{V2}/experiments/{what}", data=experiment)


def variants(request: Request, own: Things) -> Iterator[tuple[str, Request]]:
    """The same call written in every other way in which a server might read it, or the route might fail to."""
    yield "as it is", request
    if request.method == "GET":
        yield "HEAD", replace(request, method="HEAD")
    yield "a slash at the end", replace(request, route=request.route + "/")
    yield "with another workspace", replace(request, headers={**request.headers, "X-MLFLOW-WORKSPACE": "default"})
    yield "by another method", replace(request, headers={**request.headers, "X-HTTP-Method-Override": "GET"})
    if request.query:
        ours = {key: value for key, value in _own(own).items() if key in request.query}
        yield "in a body", replace(request, query={}, data=_camel(request.query))
        yield "in query and body", replace(request, data=ours)
        yield (
            "own in the query, theirs in the body",
            replace(request, query={**request.query, **ours}, data=request.query),
        )
        yield (
            "twice",
            replace(request, query={key: [ours.get(key, value), value] for key, value in request.query.items()}),
        )
        yield (
            "once more",
            replace(request, query={key: [value, ours.get(key, value)] for key, value in request.query.items()}),
        )
    if request.data is not None:
        yield from _bodies(request, own)


def _bodies(request: Request, own: Things) -> Iterator[tuple[str, Request]]:
    data: dict[str, Any] = request.data or {}
    ours = {key: value for key, value in _own(own).items() if key in data}
    yield "in camel case", replace(request, data=_camel(data))
    yield "encoded twice", replace(request, data=None, body=json.dumps(json.dumps(data)).encode())
    yield "in the query", replace(request, data=None, query={k: v for k, v in data.items() if not isinstance(v, dict)})
    if ours:
        yield "own in the query", replace(request, query=ours)
        yield "theirs in the query", replace(request, query={key: data[key] for key in ours}, data={**data, **ours})
        if beside := {key: value for key, value in _camel(ours).items() if key not in ours}:
            yield "own in camel case beside", replace(request, data={**data, **beside})
        yield (
            "theirs in camel case beside",
            replace(request, data={**data, **ours, **_camel({k: data[k] for k in ours})}),
        )
        text = json.dumps(data)
        yield "keys twice", replace(request, data=None, body=(json.dumps(ours)[:-1] + ", " + text[1:]).encode())
    if "run_id" in data:
        yield "by its old name", replace(request, data={**data, "run_uuid": data["run_id"], "run_id": own.run})
    for key in ("experiment_ids", "trace_ids", "request_ids", "run_ids"):
        if key in data and key in _own(own):
            yield "own first", replace(request, data={**data, key: [_own(own)[key][0], *data[key]]})
            yield "own last", replace(request, data={**data, key: [*data[key], _own(own)[key][0], None]})


def _own(own: Things) -> dict[str, Any]:
    return {
        "experiment_id": own.experiment,
        "experiment_ids": [own.experiment],
        "experiment_name": own.experiment_name,
        "run_id": own.run,
        "run_ids": [own.run],
        "model_id": own.model,
        "trace_id": own.trace,
        "trace_ids": [own.trace],
        "request_id": own.trace,
        "request_ids": [own.trace],
        "name": own.registered,
        "path": f"{own.experiment}/{own.run}/artifacts",
    }


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {_camel_name(key): _camel(each) for key, each in value.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)
