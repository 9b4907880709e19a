"""Whose an experiment, run, model or trace is: looked up at the MLflow server itself and remembered.

Where nobody but the portal writes, an experiment belongs to the team in its tag `slipway.team`, else to the team before
the "/" in its name, and a registered model to the team in its tag. At a server with workspaces a workspace named as a
team is that team's, whatever tags and names say; in `default` the name says whose a thing is, and a tag that says
otherwise makes it nobody's. What lies in an experiment (runs, logged models, traces, artifacts) is the experiment's
team's. What has no team is nobody's: only people who read everything see it.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
from yarl import URL

from apps.core.proxying import upstream_session
from apps.experiments.mlflow_rules import TEAM_TAG, V2, V3, Call, Kind, Reference

REMEMBERED = 100_000
TEAM_SECONDS = 30
LOOKUP_SECONDS = 15
TRACES_AT_ONCE = 100
ONE_BY_ONE = 3
WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"
DEFAULT_WORKSPACE = "default"  # of clients that name none; no team's, even if a team is called so


class ServerAway(Exception):
    """The MLflow server did not answer a lookup."""


def team_of_experiment(experiment: dict[str, Any], workspace: str = "") -> str | None:
    """A team's slug, if there is such a team; `workspace` is empty at a server that has none."""
    named, tagged = _named(experiment, "/"), tag_of(experiment, TEAM_TAG)
    if not workspace:
        return tagged or named
    if experiment.get("workspace", workspace) != workspace:
        return None  # something between the portal and the server has dropped the header
    return _team_within(workspace, named, tagged)


def team_of_model(model: dict[str, Any], workspace: str = "") -> str | None:
    """The same of a registered model."""
    tagged = tag_of(model, TEAM_TAG)
    return _team_within(workspace, _named(model, "."), tagged) if workspace else tagged


def model_name(workspace: str, name: str) -> str:
    """What the portal calls a registered model: "vision:churn" in a workspace; MLflow allows no ":" in a name."""
    return name if workspace in ("", DEFAULT_WORKSPACE) else f"{workspace}:{name}"


def _named(thing: dict[str, Any], separator: str) -> str | None:
    first, found, _ = thing.get("name", "").partition(separator)
    return first if found and first else None


def _team_within(workspace: str, named: str | None, tagged: str | None) -> str | None:
    if workspace != DEFAULT_WORKSPACE:
        return workspace
    return named if tagged in (None, named) else None


def tag_of(thing: dict[str, Any], key: str) -> str | None:
    return next((str(tag.get("value")) for tag in tags_of(thing) if tag.get("key") == key), None)


def tags_of(thing: dict[str, Any]) -> list[dict[str, Any]]:
    """MLflow's list of {key, value}, without what is not one."""
    tags = thing.get("tags")
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def _experiment_of_trace(info: dict[str, Any]) -> str | None:
    experiment: str | None = info.get("trace_location", {}).get("mlflow_experiment", {}).get("experiment_id")
    return experiment


class Lookups:
    """The portal's own questions to one MLflow server; `headers` are those by which it knows the portal."""

    def __init__(self, upstream: str, headers: Callable[[], dict[str, str]]) -> None:
        self._upstream = upstream
        self._headers = headers

    async def get(self, path: str, workspace: str = "", **arguments: str) -> dict[str, Any]:
        return await self.ask("GET", path + (f"?{urlencode(arguments)}" if arguments else ""), None, workspace)

    async def ask(self, method: str, path: str, data: dict[str, Any] | None, workspace: str = "") -> dict[str, Any]:
        """The answer's JSON; empty for anything that is not there."""
        # Encoded here: left to itself, yarl would take %2F in an id for a slash.
        url = URL(self._upstream + path, encoded=True)
        headers = {**self._headers(), **({WORKSPACE_HEADER: workspace} if workspace else {})}
        if data is not None:
            headers["Content-Type"] = "application/json"
        timeout = aiohttp.ClientTimeout(total=LOOKUP_SECONDS)
        try:
            async with upstream_session().request(method, url, headers=headers, json=data, timeout=timeout) as response:
                if response.status >= 500 or response.status in (401, 403):
                    raise ServerAway(f"the MLflow server answered {response.status}")
                return await response.json(content_type=None) if response.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ServerAway(type(error).__name__) from error


class Ownership:
    """Answers `team(reference)` for one MLflow server; `workspace` is where to look, empty where it has none."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        # Which experiment a thing lies in never changes but for a trace's; whose an experiment is, may.
        self._experiments: OrderedDict[Reference, str] = OrderedDict()
        self._teams: OrderedDict[tuple[str, Reference], tuple[float, str | None]] = OrderedDict()

    async def team(self, reference: Reference, workspace: str = "") -> str | None:
        """The team's slug; None for what has no team or does not exist there."""
        if reference.kind in (Kind.EXPERIMENT, Kind.EXPERIMENT_NAME, Kind.REGISTERED_MODEL):
            return await self._team(reference, workspace)
        experiment = self._experiments.get(reference)
        if experiment is None:
            experiment = await self._experiment_of(reference, workspace)
            if experiment is None:
                return None
            keep(self._experiments, reference, experiment)
        return await self._team(Reference(Kind.EXPERIMENT, experiment), workspace)

    async def taken(self, traces: frozenset[Reference], workspace: str = "") -> dict[Reference, str | None]:
        """Those of these traces that exist already, with whose each is."""
        found = {}
        asked = sorted(reference.value for reference in traces)
        for start in range(0, len(asked), TRACES_AT_ONCE):
            some = asked[start : start + TRACES_AT_ONCE]
            asking = {"trace_ids": some}
            answer = await self._lookups.ask("POST", f"{V3}/traces/batchGetInfos", asking, workspace)
            for info in answer.get("trace_infos", []):
                reference, experiment = Reference(Kind.TRACE, info.get("trace_id", "")), _experiment_of_trace(info)
                found[reference] = (
                    await self._team(Reference(Kind.EXPERIMENT, experiment), workspace) if experiment else None
                )
        return found

    async def models_know(self, names: set[str], workspace: str = "") -> None:
        """Learns whose these models are in few calls; a handful is asked for one by one when it is needed."""
        now = time.monotonic()
        keys = {name: (workspace, Reference(Kind.REGISTERED_MODEL, name)) for name in names}
        unknown = {name for name, key in keys.items() if self._teams.get(key, (0.0,))[0] <= now}
        token = ""
        while len(unknown) > ONE_BY_ONE:
            more = {"page_token": token} if token else {}
            path = f"{V2}/registered-models/search"
            answer = await self._lookups.get(path, workspace, max_results="1000", **more)
            for model in answer.get("registered_models", []):
                key = (workspace, Reference(Kind.REGISTERED_MODEL, model["name"]))
                keep(self._teams, key, (time.monotonic() + TEAM_SECONDS, team_of_model(model, workspace)))
                unknown.discard(model["name"])
            token = answer.get("next_page_token", "")
            if not token:
                return

    def forget(self, call: Call, workspace: str = "") -> None:
        """After a call that may have changed whose a thing is: one renamed, deleted, or a trace that was moved."""
        if not call.path.startswith((f"{V2}/experiments/", f"{V2}/registered-models/")) and "/traces" not in call.path:
            return
        for reference in call.references | call.made:
            self._teams.pop((workspace, reference), None)
            if reference.kind is Kind.TRACE:
                self._experiments.pop(reference, None)

    async def _team(self, reference: Reference, workspace: str) -> str | None:
        expires, team = self._teams.get((workspace, reference), (0.0, None))
        if time.monotonic() < expires:
            return team
        get = self._lookups.get
        if reference.kind is Kind.REGISTERED_MODEL:
            answer = await get(f"{V2}/registered-models/get", workspace, name=reference.value)
            team = team_of_model(answer["registered_model"], workspace) if answer else None
        elif reference.kind is Kind.EXPERIMENT_NAME:
            answer = await get(f"{V2}/experiments/get-by-name", workspace, experiment_name=reference.value)
            team = team_of_experiment(answer["experiment"], workspace) if answer else None
        else:
            answer = await get(f"{V2}/experiments/get", workspace, experiment_id=reference.value)
            team = team_of_experiment(answer["experiment"], workspace) if answer else None
        if answer:
            keep(self._teams, (workspace, reference), (time.monotonic() + TEAM_SECONDS, team))
        return team

    async def _experiment_of(self, reference: Reference, workspace: str) -> str | None:
        get = self._lookups.get
        if reference.kind is Kind.RUN:
            answer = await get(f"{V2}/runs/get", workspace, run_id=reference.value)
            return answer.get("run", {}).get("info", {}).get("experiment_id")
        if reference.kind is Kind.LOGGED_MODEL:
            answer = await get(f"{V2}/logged-models/{quote(reference.value, safe='')}", workspace)
            return answer.get("model", {}).get("info", {}).get("experiment_id")
        answer = await get(f"{V3}/traces/{quote(reference.value, safe='')}", workspace)
        return _experiment_of_trace(answer.get("trace", {}).get("trace_info", {}))


def keep(known: "OrderedDict[Any, Any]", key: Any, value: Any) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > REMEMBERED:
        known.popitem(last=False)
