"""Searches that MLflow makes over everybody's things, answered with pages of the caller's own.

MLflow can neither restrict a search to several teams nor count; its page token is an offset into everybody's things,
and whether there is one tells whether something else matched. Therefore its pages are read on until one is full of what
the caller may see, and the token handed out counts those alone. Order, filter and what is refused stay MLflow's.
Of several workspaces one is read after another, each in the order asked for.
"""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
from yarl import URL

from apps.core import proxying
from apps.experiments.mlflow_ownership import WORKSPACE_HEADER, Ownership, team_of_experiment, team_of_model
from apps.experiments.mlflow_principal import MlflowPrincipal
from apps.experiments.mlflow_refusals import Refused, server_away
from apps.experiments.mlflow_rules import V2, Call, Kind, Reference

# What a search finds, and how many without `max_results` (MLflow's own numbers).
SEARCHES = {
    f"{V2}/experiments/search": ("experiments", 1000),
    f"{V2}/registered-models/search": ("registered_models", 100),
    f"{V2}/model-versions/search": ("model_versions", 10_000),
}
PAGE = 1000  # of what is read on; registered models allow no more
Answer = tuple[int, dict[str, Any]]


class Searches:
    def __init__(self, upstream: str, headers: Callable[[], dict[str, str]], ownership: Ownership) -> None:
        self._upstream = upstream
        self._headers = headers
        self._ownership = ownership

    async def answer(
        self, principal: MlflowPrincipal, call: Call, query: str, workspaces: tuple[str, ...] = ("",)
    ) -> Answer:
        """MLflow's answer to a search, or the part of it that the caller may see, with a token for the next page."""
        # As MLflow reads it: a GET with arguments has no body, everything else has no arguments.
        arguments = parse_qsl(query, keep_blank_values=True) if call.method in ("GET", "HEAD") else []
        data = None if arguments else (call.data or {})
        if principal.reads_everything and len(workspaces) == 1:
            return await self._ask(call, arguments, data, workspaces[0])
        field, wanted = SEARCHES[call.path]
        given = dict(reversed(arguments)) if arguments else _snake(data or {})
        begin = _offset(str(given.get("page_token") or ""))
        seen: list[dict[str, Any]] = []
        asked = size = given.get("max_results")  # the first as it came, so that MLflow refuses what is wrong
        for workspace in workspaces:
            token: str | None = ""
            while token is not None and len(seen) <= begin + wanted:
                status, answer = await self._ask(call, *_asking(arguments, data, size, token), workspace)
                if status != 200:
                    return status, answer
                wanted = int(asked) if asked is not None else wanted
                seen += await self._visible(principal, field, answer.get(field, []), workspace)
                token = answer.get("next_page_token") or None
                size = PAGE
        answer = {field: seen[begin : begin + wanted]} if seen[begin:] else {}
        if wanted > 0 and len(seen) > begin + wanted:
            answer["next_page_token"] = _token(begin + wanted)
        return 200, answer

    async def _ask(
        self, call: Call, arguments: list[tuple[str, str]], data: dict[str, Any] | None, workspace: str
    ) -> Answer:
        url = f"{self._upstream}{call.path}" + (f"?{urlencode(arguments)}" if arguments else "")
        method = "GET" if call.method == "HEAD" else call.method
        headers = {**self._headers(), "Content-Type": "application/json"}
        if workspace:
            headers[WORKSPACE_HEADER] = workspace
        try:
            async with proxying.upstream_session().request(
                method, URL(url, encoded=True), json=data, headers=headers
            ) as response:
                return response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise server_away(type(error).__name__) from None

    async def _visible(
        self, principal: MlflowPrincipal, field: str, found: list[dict[str, Any]], workspace: str
    ) -> list[dict[str, Any]]:
        if principal.reads_everything:
            return found
        if field == "experiments":
            return [each for each in found if team_of_experiment(each, workspace) in principal.teams]
        if field == "registered_models":
            return [each for each in found if team_of_model(each, workspace) in principal.teams]
        names = {each["name"] for each in found}
        await self._ownership.models_know(names, workspace)
        ownership = self._ownership
        teams = {name: await ownership.team(Reference(Kind.REGISTERED_MODEL, name), workspace) for name in names}
        return [each for each in found if teams[each["name"]] in principal.teams]


def _asking(
    arguments: list[tuple[str, str]], data: dict[str, Any] | None, size: Any, token: str
) -> tuple[list[tuple[str, str]], dict[str, Any] | None]:
    """The same search for another page of MLflow's."""
    paging = ({} if size is None else {"max_results": size}) | ({"page_token": token} if token else {})
    if data is None:
        kept = [pair for pair in arguments if pair[0] not in ("max_results", "page_token")]
        return [*kept, *((key, str(value)) for key, value in paging.items())], None
    kept_data = {key: value for key, value in data.items() if key not in ("maxResults", "pageToken")}
    kept_data.pop("max_results", None)
    kept_data.pop("page_token", None)
    return [], kept_data | paging


def _snake(data: dict[str, Any]) -> dict[str, Any]:
    return {
        {"maxResults": "max_results", "pageToken": "page_token"}.get(key, key): value for key, value in data.items()
    }


def _token(offset: int) -> str:
    return base64.b64encode(json.dumps({"offset": offset}).encode()).decode()


def _offset(token: str) -> int:
    """Of the caller's own things, as `_token` wrote it."""
    if not token:
        return 0
    try:
        offset = json.loads(base64.b64decode(token, validate=True))["offset"]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        offset = None
    if not isinstance(offset, int) or not 0 <= offset < 2**31:
        raise Refused(400, "INVALID_PARAMETER_VALUE", "This page_token is not one that a search gave.")
    return offset
