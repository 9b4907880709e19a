"""Whose an experiment, run, model or trace is: looked up at the MLflow server itself and remembered.

An experiment belongs to the team in its tag `slipway.team`, else to the team before the "/" in its name. What lies in
an experiment (runs, logged models, traces, artifacts) is the experiment's team's. A registered model carries the tag
itself. What has no team is nobody's: only people who read everything see it.
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


class ServerAway(Exception):
    """The MLflow server did not answer a lookup."""


def team_of_experiment(experiment: dict[str, Any]) -> str | None:
    prefix, slash, _ = experiment.get("name", "").partition("/")
    return tag_of(experiment, TEAM_TAG) or (prefix if slash and prefix else None)


def tag_of(thing: dict[str, Any], key: str) -> str | None:
    return next((str(tag.get("value")) for tag in tags_of(thing) if tag.get("key") == key), None)


def tags_of(thing: dict[str, Any]) -> list[dict[str, Any]]:
    """MLflow's list of {key, value}, without what is not one."""
    tags = thing.get("tags")
    return [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []


def _experiment_of_trace(info: dict[str, Any]) -> str | None:
    experiment: str | None = info.get("trace_location", {}).get("mlflow_experiment", {}).get("experiment_id")
    return experiment


class Ownership:
    """Answers `team(reference)` for one MLflow server; `headers` are those of the portal's own calls."""

    def __init__(self, upstream: str, headers: Callable[[], dict[str, str]]) -> None:
        self._upstream = upstream
        self._headers = headers
        # Which experiment a thing lies in never changes but for a trace's; whose an experiment is, may.
        self._experiments: OrderedDict[Reference, str] = OrderedDict()
        self._teams: OrderedDict[Reference, tuple[float, str | None]] = OrderedDict()

    async def team(self, reference: Reference) -> str | None:
        """The team's slug; None for what has no team or does not exist."""
        if reference.kind in (Kind.EXPERIMENT, Kind.EXPERIMENT_NAME, Kind.REGISTERED_MODEL):
            return await self._team(reference)
        experiment = self._experiments.get(reference)
        if experiment is None:
            experiment = await self._experiment_of(reference)
            if experiment is None:
                return None
            self._keep(self._experiments, reference, experiment)
        return await self._team(Reference(Kind.EXPERIMENT, experiment))

    async def taken(self, traces: frozenset[Reference]) -> dict[Reference, str | None]:
        """Those of these traces that exist already, with whose each is."""
        found = {}
        asked = sorted(reference.value for reference in traces)
        for start in range(0, len(asked), TRACES_AT_ONCE):
            some = asked[start : start + TRACES_AT_ONCE]
            answer = await self._ask("POST", f"{V3}/traces/batchGetInfos", {"trace_ids": some})
            for info in answer.get("trace_infos", []):
                reference, experiment = Reference(Kind.TRACE, info.get("trace_id", "")), _experiment_of_trace(info)
                found[reference] = (
                    await self._team(Reference(Kind.EXPERIMENT, experiment)) if experiment is not None else None
                )
        return found

    async def models_know(self, names: set[str]) -> None:
        """Learns whose these models are in few calls; a handful is asked for one by one when it is needed."""
        now = time.monotonic()
        unknown = {name for name in names if self._teams.get(Reference(Kind.REGISTERED_MODEL, name), (0.0,))[0] <= now}
        token = ""
        while len(unknown) > ONE_BY_ONE:
            more = {"page_token": token} if token else {}
            answer = await self._get(f"{V2}/registered-models/search", max_results="1000", **more)
            for model in answer.get("registered_models", []):
                reference = Reference(Kind.REGISTERED_MODEL, model["name"])
                self._keep(self._teams, reference, (time.monotonic() + TEAM_SECONDS, tag_of(model, TEAM_TAG)))
                unknown.discard(model["name"])
            token = answer.get("next_page_token", "")
            if not token:
                return

    def forget(self, call: Call) -> None:
        """After a call that may have changed whose a thing is: one renamed, deleted, or a trace that was moved."""
        if not call.path.startswith((f"{V2}/experiments/", f"{V2}/registered-models/")) and "/traces" not in call.path:
            return
        for reference in call.references | call.made:
            self._teams.pop(reference, None)
            if reference.kind is Kind.TRACE:
                self._experiments.pop(reference, None)

    async def _team(self, reference: Reference) -> str | None:
        expires, team = self._teams.get(reference, (0.0, None))
        if time.monotonic() < expires:
            return team
        if reference.kind is Kind.REGISTERED_MODEL:
            answer = await self._get(f"{V2}/registered-models/get", name=reference.value)
            team = tag_of(answer.get("registered_model", {}), TEAM_TAG)
        elif reference.kind is Kind.EXPERIMENT_NAME:
            answer = await self._get(f"{V2}/experiments/get-by-name", experiment_name=reference.value)
            team = team_of_experiment(answer.get("experiment", {}))
        else:
            answer = await self._get(f"{V2}/experiments/get", experiment_id=reference.value)
            team = team_of_experiment(answer.get("experiment", {}))
        if answer:
            self._keep(self._teams, reference, (time.monotonic() + TEAM_SECONDS, team))
        return team

    async def _experiment_of(self, reference: Reference) -> str | None:
        if reference.kind is Kind.RUN:
            answer = await self._get(f"{V2}/runs/get", run_id=reference.value)
            return answer.get("run", {}).get("info", {}).get("experiment_id")
        if reference.kind is Kind.LOGGED_MODEL:
            answer = await self._get(f"{V2}/logged-models/{quote(reference.value, safe='')}")
            return answer.get("model", {}).get("info", {}).get("experiment_id")
        answer = await self._get(f"{V3}/traces/{quote(reference.value, safe='')}")
        return _experiment_of_trace(answer.get("trace", {}).get("trace_info", {}))

    async def _get(self, path: str, **arguments: str) -> dict[str, Any]:
        return await self._ask("GET", path + (f"?{urlencode(arguments)}" if arguments else ""), None)

    async def _ask(self, method: str, path: str, data: dict[str, Any] | None) -> dict[str, Any]:
        """The answer's JSON; empty for anything that is not there."""
        # Encoded here: left to itself, yarl would take %2F in an id for a slash.
        url = URL(self._upstream + path, encoded=True)
        headers = {**self._headers(), "Content-Type": "application/json"} if data is not None else self._headers()
        timeout = aiohttp.ClientTimeout(total=LOOKUP_SECONDS)
        try:
            async with upstream_session().request(method, url, headers=headers, json=data, timeout=timeout) as response:
                if response.status >= 500 or response.status in (401, 403):
                    raise ServerAway(f"the MLflow server answered {response.status}")
                return await response.json(content_type=None) if response.status == 200 else {}
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ServerAway(type(error).__name__) from error

    @staticmethod
    def _keep(known: "OrderedDict[Reference, Any]", reference: Reference, value: Any) -> None:
        known[reference] = value
        known.move_to_end(reference)
        if len(known) > REMEMBERED:
            known.popitem(last=False)
