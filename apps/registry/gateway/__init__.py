"""MLflow's registry over REST: what exists, and the few things the portal writes there. The caller checks who may."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from apps.experiments.exceptions import TrackerRefused
from apps.experiments.gateway import call

JSON = dict[str, Any]
MODELS_PAGE = 1000  # MLflow's own limit
VERSIONS_PAGE = 200
# One click waits no longer than this for MLflow.
CLICK_SECONDS = 8.0


def models_all() -> Iterator[JSON]:
    """Every registered model, prompts left out (MLflow does), with its aliases."""
    yield from _pages("registered-models/search", "registered_models", max_results=MODELS_PAGE)


def model_get(name: str) -> JSON | None:
    """One registered model; None where there is none of this name."""
    try:
        answer = call("GET", "registered-models/get", params={"name": name}, seconds=CLICK_SECONDS)
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
    return dict(answer.get("registered_model", {}))


def versions_of(name: str) -> Iterator[JSON]:
    """All versions of one model, newest first."""
    literal = _literal(name)
    if literal is None:
        yield from _versions_one_by_one(name)
        return
    yield from _pages(
        "model-versions/search",
        "model_versions",
        filter=f"name = {literal}",
        order_by="version_number DESC",
        max_results=VERSIONS_PAGE,
    )


def _versions_one_by_one(name: str) -> Iterator[JSON]:
    """Of a name that MLflow's filter cannot say: its newest ones by number."""
    latest = (model_get(name) or {}).get("latest_versions") or []
    newest = max((int(each.get("version", 0)) for each in latest), default=0)
    for number in range(newest, max(0, newest - VERSIONS_PAGE), -1):
        if (found := version_get(name, number)) is not None:
            yield found


def versions_changed() -> Iterator[JSON]:
    """Versions of all models, last changed first; the caller stops where it knows the rest."""
    yield from _pages(
        "model-versions/search", "model_versions", order_by="last_updated_timestamp DESC", max_results=VERSIONS_PAGE
    )


def version_get(name: str, version: int) -> JSON | None:
    try:
        answer = call("GET", "model-versions/get", params={"name": name, "version": str(version)})
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
    return dict(answer.get("model_version", {}))


def version_storage(name: str, version: int) -> str:
    """Where MLflow keeps the files of a version: "mlflow-artifacts:/1/models/m-…/artifacts"."""
    answer = call("GET", "model-versions/get-download-uri", params={"name": name, "version": str(version)})
    return str(answer.get("artifact_uri", ""))


def logged_model_get(model_id: str) -> JSON | None:
    try:
        answer = call("GET", f"logged-models/{quote(model_id, safe='')}", seconds=CLICK_SECONDS)
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
    return dict(answer.get("model", {}))


def run_get(run_id: str) -> JSON | None:
    try:
        answer = call("GET", "runs/get", params={"run_id": run_id}, seconds=CLICK_SECONDS)
    except TrackerRefused as refused:
        if refused.absent:
            return None
        raise
    return dict(answer.get("run", {}))


def alias_write(name: str, alias: str, version: int) -> None:
    data = {"name": name, "alias": alias, "version": str(version)}
    call("POST", "registered-models/alias", json=data, seconds=CLICK_SECONDS)


def alias_remove(name: str, alias: str) -> None:
    call("DELETE", "registered-models/alias", json={"name": name, "alias": alias}, seconds=CLICK_SECONDS)


def model_create(name: str, *, tags: dict[str, str], description: str = "") -> JSON:
    data = {"name": name, "tags": _tags(tags), "description": description}
    return dict(call("POST", "registered-models/create", json=data, seconds=CLICK_SECONDS)["registered_model"])


def model_describe(name: str, description: str) -> None:
    data = {"name": name, "description": description}
    call("PATCH", "registered-models/update", json=data, seconds=CLICK_SECONDS)


def version_create(
    name: str, *, source: str, run_id: str, model_id: str, tags: dict[str, str], description: str = ""
) -> JSON:
    data = {"name": name, "source": source, "run_id": run_id, "tags": _tags(tags), "description": description}
    if model_id:
        data["model_id"] = model_id
    return dict(call("POST", "model-versions/create", json=data, seconds=CLICK_SECONDS)["model_version"])


def _pages(path: str, key: str, **arguments: Any) -> Iterator[JSON]:
    token = ""
    while True:
        answer = call("GET", path, params={**arguments, **({"page_token": token} if token else {})})
        yield from answer.get(key) or []
        token = str(answer.get("next_page_token") or "")
        if not token:
            return


def _literal(text: str) -> str | None:
    """A text of MLflow's filter language, which knows no escapes: in the quotes that it does not hold itself."""
    quotes = next((each for each in ("'", '"') if each not in text), None)
    return None if quotes is None or "\\" in text else f"{quotes}{text}{quotes}"


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]
