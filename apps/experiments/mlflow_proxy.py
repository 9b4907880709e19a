"""`/mlflow/`: the way of notebooks, laptops and CI to the MLflow server, with a token of the portal.

The server itself is reached by the portal only. A token's scope decides between reading and writing, its teams decide
about what; see `mlflow_rules` for the calls that exist and `mlflow_ownership` for whose a thing is. Artifacts are
streamed in both directions, JSON bodies are read to see what they speak about. Errors are MLflow's own JSON errors with
the members of a problem document beside, so that a client prints a sentence.
"""

import json
import secrets
from dataclasses import replace
from typing import Any

import aiohttp
from yarl import URL

from apps.core import proxying
from apps.core.proxying import Headers, Receive, Reply, Scope, Send, header
from apps.experiments.mlflow_ownership import Ownership, ServerAway, tag_of, team_of_experiment
from apps.experiments.mlflow_principal import Authenticate, MlflowPrincipal, Principals
from apps.experiments.mlflow_refusals import Refused, absent, server_away
from apps.experiments.mlflow_rules import TEAM_TAG, Call, Kind, NotUnderstood, Reference, call_read, rule_find
from apps.experiments.mlflow_stamps import (
    experiment_to_create,
    model_to_create,
    name_allowed,
    stamped,
    stamps_untouched,
)

__all__ = ["MlflowPrincipal", "MlflowProxy"]

SECRET_HEADER = "X-Slipway-MLflow-Secret"  # noqa: S105 - the header's name
BODY_BYTES = 32 * 1024 * 1024  # MLflow's own batches are limited to 1 MB
# Never handed on: the caller's own credentials, and what would make the server judge the browser's origin.
NOT_UP = {b"authorization", b"cookie", b"origin", b"referer", b"host", b"x-forwarded-for", b"forwarded", b"x-real-ip"}
NOT_UP_PREFIXES = (b"x-forwarded-", b"x-slipway-", b"sec-fetch-")
NOT_DOWN = {b"date", b"server", b"set-cookie", b"access-control-allow-origin", b"access-control-allow-credentials"}


class MlflowProxy:
    """ASGI application for everything under `prefix`.

    `upstream` is the server's address ("http://127.0.0.1:5000"); `secret` is what our own server wants, `bearer` what a
    server of somebody else's does. `account_url` is where people make tokens.
    """

    def __init__(
        self,
        *,
        upstream: str,
        authenticate: Authenticate,
        secret: str = "",
        bearer: str = "",
        prefix: str = "/mlflow",
        account_url: str = "",
    ) -> None:
        self._upstream = upstream.rstrip("/")
        self._credentials = {SECRET_HEADER: secret} if secret else {}
        if bearer:
            self._credentials["Authorization"] = f"Bearer {bearer}"
        self._prefix = prefix
        self._account = "your account page" + (f" ({account_url})" if account_url else "")
        self._principals = Principals(authenticate, account=self._account)
        self.ownership = Ownership(self._upstream, lambda: self._credentials)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        request_id = header(scope["headers"], b"x-request-id") or secrets.token_hex(16)
        try:
            await self._pass(scope, receive, send, request_id)
        except Refused as refused:
            reply = refused.reply()
            await replace(reply, headers=[*reply.headers, (b"x-request-id", request_id.encode())]).send(send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        path = scope["path"].removeprefix(self._prefix)
        principal = await self._principals.of(scope["headers"])
        rule = rule_find(scope["method"], path)
        if rule is None:
            detail = f"{scope['method']} {path} is not offered through the portal."
            raise Refused(404, "ENDPOINT_NOT_FOUND", detail)
        body = b"" if rule.streams else await _body(receive)
        try:
            call = call_read(
                rule=rule,
                method=scope["method"],
                path=path,
                query=scope.get("query_string", b"").decode("latin-1"),
                body=body,
                experiment_header=header(scope["headers"], b"x-mlflow-experiment-id") or "",
            )
        except NotUnderstood as error:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"{error}.") from None
        try:
            data = await self._allowed(principal, call)
            if call.rule.free and call.path.endswith("/search"):
                await self._search(scope, send, principal, call, request_id)
                return
        except ServerAway as error:
            raise server_away(str(error)) from None
        if not rule.streams:
            body = json.dumps(data).encode() if data is not None else b""
            scope, receive = _with_body(scope, receive, body)
        await self._forward(scope, receive, send, request_id)
        for reference in call.references if not call.is_read else ():
            self.ownership.forget(reference)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        await proxying.proxy_http(
            scope,
            receive,
            send,
            upstream=self._upstream,
            path=proxying.raw_path(scope).removeprefix(self._prefix),
            request_headers=lambda headers: self._up(headers, request_id),
            response_headers=lambda headers: [
                *(pair for pair in headers if pair[0] not in NOT_DOWN and pair[0] != b"x-request-id"),
                (b"x-request-id", request_id.encode()),
            ],
            on_error=lambda error: server_away(type(error).__name__).reply(),
        )

    def _up(self, headers: Headers, request_id: str) -> Headers:
        kept = [pair for pair in headers if pair[0] not in NOT_UP and not pair[0].startswith(NOT_UP_PREFIXES)]
        kept = [pair for pair in kept if pair[0] != b"x-request-id"]
        own = [(name.lower().encode(), value.encode()) for name, value in self._credentials.items()]
        return [*kept, *own, (b"x-request-id", request_id.encode())]

    async def _allowed(self, principal: MlflowPrincipal, call: Call) -> dict[str, Any] | None:
        """Checks scope and teams; returns the JSON to send, with the portal's own tags where something is made."""
        if ("read" if call.is_read else "write") not in principal.scopes and not (
            call.is_read and "write" in principal.scopes
        ):
            detail = f"This token may only read. Make one with the scope write on {self._account}."
            raise Refused(403, "PERMISSION_DENIED", detail)
        if call.is_("/experiments/create"):
            return experiment_to_create(principal, call.data or {})
        if call.is_("/registered-models/create"):
            return model_to_create(principal, call.data or {})
        teams = {}
        for reference in sorted(call.references, key=lambda each: (each.kind, each.value)):
            teams[reference] = team = await self.ownership.team(reference)
            if not principal.may(call, team):
                raise _forbidden(principal, reference, team)
        if not call.references and not call.rule.free:
            raise Refused(400, "INVALID_PARAMETER_VALUE", "Say which experiment, run or model this is about.")
        stamps_untouched(call)
        data = call.data
        if call.is_("/experiments/update"):
            name_allowed(principal, str((data or {}).get("new_name") or (data or {}).get("newName") or ""), empty=True)
        if data is not None and (call.is_("/runs/create") or call.is_("/logged-models")):
            team = next((team for reference, team in teams.items() if reference.kind is Kind.EXPERIMENT), None)
            return stamped(principal, data, team or "")
        return data

    async def _search(self, scope: Scope, send: Send, principal: MlflowPrincipal, call: Call, request_id: str) -> None:
        """A search over all teams' things, with what is not the caller's taken out of the page."""
        query = scope.get("query_string", b"").decode("latin-1")
        url = f"{self._upstream}{call.path}" + (f"?{query}" if query else "")
        headers = {**self._credentials, "Content-Type": "application/json"}
        method = "GET" if call.method == "HEAD" else call.method
        try:
            async with proxying.upstream_session().request(
                method, URL(url, encoded=True), json=call.data, headers=headers
            ) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise server_away(type(error).__name__) from None
        if status == 200 and not principal.reads_everything:
            answer = await self._visible(principal, answer)
        await Reply.json(status, answer, headers=[(b"x-request-id", request_id.encode())]).send(send)

    async def _visible(self, principal: MlflowPrincipal, answer: dict[str, Any]) -> dict[str, Any]:
        kept = dict(answer)
        if "experiments" in kept:
            kept["experiments"] = [each for each in kept["experiments"] if team_of_experiment(each) in principal.teams]
        if "registered_models" in kept:
            models = kept["registered_models"]
            kept["registered_models"] = [each for each in models if tag_of(each, TEAM_TAG) in principal.teams]
        if "model_versions" in kept:
            names = {each["name"] for each in kept["model_versions"]}
            owned = {
                name
                for name in names
                if await self.ownership.team(Reference(Kind.REGISTERED_MODEL, name)) in principal.teams
            }
            kept["model_versions"] = [each for each in kept["model_versions"] if each["name"] in owned]
        return kept


async def _body(receive: Receive) -> bytes:
    parts, total = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(400, "CANCELLED", "The request broke off.")
        parts.append(message.get("body", b""))
        total += len(parts[-1])
        if total > BODY_BYTES:
            raise Refused(
                413, "RESOURCE_EXHAUSTED", f"A call may hold {BODY_BYTES // 2**20} MB; files go as artifacts."
            )
        if not message.get("more_body", False):
            return b"".join(parts)


def _with_body(scope: Scope, receive: Receive, body: bytes) -> tuple[Scope, Receive]:
    """The same request with a body that was read already (and perhaps changed)."""
    told = False

    async def again() -> Any:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    dropped = (b"content-length", b"transfer-encoding", b"content-type")
    headers = [pair for pair in scope["headers"] if pair[0] not in dropped]
    if body:
        headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    return {**scope, "headers": headers}, again


def _forbidden(principal: MlflowPrincipal, reference: Reference, team: str | None) -> Refused:
    if reference == Reference(Kind.EXPERIMENT, "0") and team is None:
        own = sorted(principal.teams)[0] if principal.teams else "<team>"
        detail = (
            f'Say which experiment the run belongs to first, for example mlflow.set_experiment("{own}/my-experiment").'
        )
        return Refused(403, "PERMISSION_DENIED", detail)
    if principal.reads_everything:
        return Refused(403, "PERMISSION_DENIED", f"You may look at this {reference.kind} but not change it.")
    return absent(reference)
