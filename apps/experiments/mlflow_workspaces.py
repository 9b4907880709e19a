"""Workspaces of an MLflow server that has them: which a caller reaches, and in which one a call happens.

MLflow looks at one workspace in each request: the one in the header X-MLFLOW-WORKSPACE, else `default`. Ids of
experiments, runs, logged models and traces are of the whole server, names of experiments and models are of a workspace.
https://mlflow.org/docs/latest/self-hosting/workspaces

A caller reaches the workspaces named as their teams, and `default`. Whoever sends the header stays in that one; for
others the call happens where what it speaks about lies. Our own server has no workspaces and is never asked for them.
"""

import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from apps.core.proxying import Headers, header
from apps.experiments.mlflow_ownership import DEFAULT_WORKSPACE, WORKSPACE_HEADER, Lookups, Ownership, keep, model_name
from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_refusals import Refused, absent
from apps.experiments.mlflow_rules import ARTIFACT_PATH, V3, Call, Kind, Reference

HEADER = WORKSPACE_HEADER.lower().encode()
NAMES_SECONDS = 30
NONE_SECONDS = 300
PLACE_SECONDS = 30
BY_NAME = (Kind.EXPERIMENT_NAME, Kind.REGISTERED_MODEL)


@dataclass(frozen=True)
class Reach:
    """Where a call may happen: `places`, of which there is one where the caller has `named` it.

    The only place of a server without workspaces is "".
    """

    places: tuple[str, ...] = ("",)
    named: bool = False

    @property
    def is_open(self) -> bool:
        return not self.named and self.places != ("",)

    def of_team(self, team: str) -> str:
        """Where something new of a team is made by a caller who has named no workspace."""
        found = next((each for each in (team, DEFAULT_WORKSPACE) if each in self.places), None)
        if found is None:
            raise Refused(403, "PERMISSION_DENIED", f"This MLflow server has no workspace of the team {team!r}.")
        return found


class Workspaces:
    """`possible` is False for a server that is known to have none: `reach` then asks nobody."""

    def __init__(self, lookups: Lookups, ownership: Ownership, *, possible: bool) -> None:
        self._lookups = lookups
        self._ownership = ownership
        self._possible = possible
        self._names: frozenset[str] | None = None
        self._asked_until = 0.0
        self._places: OrderedDict[Reference, tuple[float, tuple[str, ...], str]] = OrderedDict()

    async def reach(self, principal: MlflowPrincipal, headers: Headers, call: Call) -> Reach:
        """Raises `Refused` for a workspace that is not the caller's, and for callers who have none."""
        names = await self._known() if self._possible else None
        named = {each.value for each in call.references if each.kind is Kind.WORKSPACE}
        if names is None:
            if named:
                raise Refused(400, "INVALID_PARAMETER_VALUE", f"{ARTIFACT_PATH}.")
            return Reach()
        teams = sorted(principal.teams & names - {DEFAULT_WORKSPACE})
        others = sorted(names - {*teams, DEFAULT_WORKSPACE}) if principal.reads_everything else []
        places = (*teams, *others, *({DEFAULT_WORKSPACE} & names))
        asked = (header(headers, HEADER) or "").strip()
        for name in sorted({asked, *named} - {""}):
            if name not in places:
                raise absent(Reference(Kind.WORKSPACE, name))
            places = (name,)
        if not places:
            raise Refused(403, "PERMISSION_DENIED", "This MLflow server has no workspace of a team you belong to.")
        return Reach(places, named=bool(asked or named))

    async def place(self, call: Call, reach: Reach) -> str:
        """The one in which the first thing lies that the call speaks about; ids before names."""
        things = [each for each in call.references if each.kind is not Kind.WORKSPACE]
        if len(reach.places) == 1 or not things:
            return reach.places[-1]
        first = min(things, key=lambda each: (each.kind in BY_NAME, each.kind, each.value))
        until, among, place = self._places.get(first, (0.0, (), ""))
        if time.monotonic() < until and among == reach.places:
            return place
        for workspace in reach.places:
            if await self._ownership.team(first, workspace) is not None:
                keep(self._places, first, (time.monotonic() + PLACE_SECONDS, reach.places, workspace))
                return workspace
        return reach.places[-1]

    def forget(self, call: Call) -> None:
        for reference in call.references:
            if reference.kind in BY_NAME:
                self._places.pop(reference, None)

    async def _known(self) -> frozenset[str] | None:
        """Names of all workspaces; None for a server without."""
        if time.monotonic() >= self._asked_until:
            info = await self._lookups.get(f"{V3}/server-info")
            has = info.get("workspaces_enabled") is True
            listed = (await self._lookups.get(f"{V3}/workspaces")).get("workspaces", []) if has else []
            self._names = frozenset(str(each["name"]) for each in listed) if has else None
            self._asked_until = time.monotonic() + (NAMES_SECONDS if has else NONE_SECONDS)
        return self._names


def call_indexed(call: Call, workspace: str) -> Call:
    """The same call with registered models called as the portal's index calls them."""
    if workspace in ("", DEFAULT_WORKSPACE):
        return call
    references = {
        Reference(each.kind, model_name(workspace, each.value)) if each.kind is Kind.REGISTERED_MODEL else each
        for each in call.references
    }
    data = call.data
    if data is not None and call.rule.names is Kind.REGISTERED_MODEL and isinstance(data.get("name"), str):
        data = {**data, "name": model_name(workspace, data["name"])}
    return replace(call, data=data, references=frozenset(references))
