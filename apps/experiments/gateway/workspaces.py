"""Workspaces of an MLflow server that has them: in which of them the portal's own call has to be made.

MLflow looks at one workspace in each request, so a call goes to where the first thing lies that it speaks about. Where
that is, is asked of MLflow, workspace by workspace, and kept for some minutes. Our own server has none and is not
asked.
"""

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from django.conf import settings
from django.core.cache import cache

from apps.experiments import gateway
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.mlflow_ownership import DEFAULT_WORKSPACE, model_name
from apps.experiments.mlflow_rules import FILES, Kind, Reference, references_in

ASK_SECONDS = 5.0
NAMES_SECONDS = 30
NONE_SECONDS = 300
PLACE_SECONDS = 600
REGISTRY = (f"{gateway.V2}/registered-models/", f"{gateway.V2}/model-versions/")
_LOOKUPS = {
    Kind.EXPERIMENT: ("experiments/get", "experiment_id"),
    Kind.RUN: ("runs/get", "run_id"),
    Kind.LOGGED_MODEL: ("logged-models/{}", ""),
    Kind.TRACE: (f"{gateway.V3}/traces/{{}}", ""),
}
_NAMES = {"name": "", "filter": "name = ['\"]"}  # fields with a registered model's name, and what comes before it
_known: dict[str, tuple[float, tuple[str, ...]]] = {}
_chosen: ContextVar[str] = ContextVar("mlflow_workspace", default="")


def workspaces() -> tuple[str, ...]:
    """Names of all workspaces, `default` first; ("",) at a server without. Raises `TrackerAway`."""
    if settings.MLFLOW_SERVER_SECRET:
        return ("",)
    server = settings.MLFLOW_TRACKING_URI
    until, names = _known.get(server, (0.0, ("",)))
    if time.monotonic() < until:
        return names
    has = _has_workspaces(server)
    if has:
        answer = gateway.call("GET", f"{gateway.V3}/workspaces", workspace="", seconds=ASK_SECONDS)
        found = {str(each["name"]) for each in answer.get("workspaces") or ()}
        names = tuple(sorted(found, key=lambda name: (name != DEFAULT_WORKSPACE, name)))
    else:
        names = ("",)
    _known[server] = (time.monotonic() + (NAMES_SECONDS if has else NONE_SECONDS), names)
    return names


def _has_workspaces(server: str) -> bool:
    """An older server does not know the question, and may answer it with anything."""
    try:
        answer = gateway._session().get(
            f"{server.rstrip('/')}{gateway.V3}/server-info",
            headers=gateway.credentials(),
            timeout=(gateway.CONNECT_SECONDS, ASK_SECONDS),
        )
        if answer.status_code >= 500:
            raise TrackerAway(reason=f"it answered {answer.status_code}")
        said = answer.json() if answer.status_code == 200 else None
    except requests.exceptions.JSONDecodeError:
        return False
    except requests.RequestException as error:
        raise TrackerAway(reason=type(error).__name__) from error
    return isinstance(said, dict) and said.get("workspaces_enabled") is True


@contextmanager
def in_workspace(workspace: str) -> Iterator[None]:
    """Calls that speak about nothing (a list, a search) go there."""
    before = _chosen.set(workspace)
    try:
        yield
    finally:
        _chosen.reset(before)


def workspace_of(reference: Reference) -> str:
    """Where it lies; "" at a server without workspaces, and for what is nowhere. Raises `TrackerAway`."""
    names = workspaces()
    if len(names) == 1:
        return names[0]
    kept: str | None = cache.get(_key(reference))
    if kept in names:
        return str(kept)
    path, field = _LOOKUPS[reference.kind]
    params = {field: reference.value} if field else None
    for name in names:
        try:
            gateway.call("GET", path.format(reference.value), params=params, workspace=name)
        except TrackerRefused:
            continue
        places_keep({reference: name})
        return name
    return ""


def model_place(name: str) -> tuple[str, str]:
    """The workspace of a registered model and what MLflow calls it there; see `model_name`. Raises `TrackerAway`."""
    names = workspaces()
    if names == ("",):
        return "", name
    workspace, colon, plain = name.partition(":")
    return (workspace, plain) if colon and workspace in names else (DEFAULT_WORKSPACE, name)


def places_keep(places: dict[Reference, str]) -> None:
    cache.set_many({_key(reference): name for reference, name in places.items()}, PLACE_SECONDS)


def experiments_by_workspace(ids: Iterable[str]) -> dict[str, list[str]]:
    """Experiments by where they lie, those that are nowhere left out. Raises `TrackerAway`."""
    from apps.experiments.gateway.experiments import experiments_all

    wanted = list(ids)
    names = workspaces()
    if len(names) == 1:
        return {names[0]: wanted}
    keys = {_key(Reference(Kind.EXPERIMENT, pk)): pk for pk in wanted}
    kept: dict[str, str] = {keys[key]: name for key, name in cache.get_many(list(keys)).items() if name in names}
    if len(kept) < len(keys):
        kept |= {str(each["experiment_id"]): each["workspace"] for each in experiments_all()}
    found: dict[str, list[str]] = {}
    for pk in wanted:
        if pk in kept:
            found.setdefault(kept[pk], []).append(pk)
    return found


@dataclass(frozen=True)
class Asked:
    """A call as MLflow has to be asked. `renames`: it is about registered models, which have other names here."""

    params: dict[str, Any] | None
    json: dict[str, Any] | None
    workspace: str = ""
    renames: bool = False

    def named(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer with the names that the portal has."""
        if self.renames:
            for value in answer.values():
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, dict) and isinstance(each.get("name"), str):
                        each["name"] = model_name(self.workspace, each["name"])
        return answer


def asked_of(
    path: str, params: dict[str, Any] | None, json: dict[str, Any] | None, workspace: str | None = None
) -> Asked:
    """Raises `TrackerAway`."""
    if workspace is not None or workspaces() == ("",):
        return Asked(params, json, workspace or "")
    is_registry = path.startswith(REGISTRY)
    if is_registry:
        (params, first), (json, second) = _plainly(params), _plainly(json)
        workspace = first or second
    workspace = workspace or _chosen.get() or _place({**(params or {}), **(json or {})}, path)
    return Asked(params, json, workspace, is_registry)


def _plainly(given: dict[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
    """With a registered model's name as MLflow has it, and the workspace that it named."""
    for field, before in _NAMES.items():
        found = re.match(rf"({before})([a-z0-9-]+):", str((given or {}).get(field, "")))
        if found and found[2] in workspaces():
            return {**(given or {}), field: found[1] + found.string[found.end() :]}, found[2]
    return given, ""


def _place(data: dict[str, Any], path: str) -> str:
    """By the first id in a call, or the workspace that an artifact path begins with."""
    folder = str(data.get("path") or "") if path == f"{FILES}/artifacts" else ""
    if folder.startswith("workspaces/"):
        return folder.split("/")[1]
    if (found := re.search(r"/(?:logged-models|traces)/((?:m|tr)-[^/]+)", path)) is not None:
        kind = Kind.LOGGED_MODEL if found[1].startswith("m-") else Kind.TRACE
        return workspace_of(Reference(kind, unquote(found[1])))
    things = (each for each in references_in(data) if each.kind in _LOOKUPS)
    first = min(things, key=lambda each: (each.kind, each.value), default=None)
    return workspace_of(first) if first is not None else ""


def workspace_of_address(address: str) -> str:
    """Where a file's address leads: one of the server's storage names the workspace, others a run or logged model."""
    if workspaces() == ("",):
        return ""
    parts = urlsplit(address)
    _, storage, folder = unquote(parts.path).partition(f"{FILES}/artifacts/")
    data = dict(parse_qsl(parts.query))
    return _place({"path": folder}, f"{FILES}/artifacts") if storage else _place(data, parts.path)


def _key(reference: Reference) -> str:
    return f"mlflow-workspace:{reference.kind.name.lower()}:{reference.value}"[:200]
