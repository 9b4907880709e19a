"""`/mlflow/`: the way of notebooks, laptops and CI to the MLflow server, with a token of the portal.

The server itself is reached by the portal only. A token's scope decides between reading and writing, its teams decide
about what; see `mlflow_rules` for the calls that exist, `mlflow_ownership` for whose a thing is and `mlflow_workspaces`
for where a call happens. Artifacts are streamed in both directions, JSON bodies are read to see what they speak about.
Errors are MLflow's own JSON errors with the members of a problem document beside, so that a client prints a sentence.
"""

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import replace
from typing import Any

from apps.core import proxying
from apps.core.proxying import Headers, Receive, Reply, Scope, Send, header
from apps.experiments.mlflow_ownership import WORKSPACE_HEADER, Lookups, Ownership, ServerAway
from apps.experiments.mlflow_principal import Authenticate, MlflowPrincipal, Principals
from apps.experiments.mlflow_refusals import Refused, absent, server_away
from apps.experiments.mlflow_rules import Call, Kind, NotUnderstood, Reference, Rule, call_read, rule_find, spans_call
from apps.experiments.mlflow_searches import SEARCHES, Searches
from apps.experiments.mlflow_spans import PROTOBUF, spans_read
from apps.experiments.mlflow_stamps import (
    experiment_team,
    experiment_to_create,
    model_team,
    model_to_create,
    renamed_check,
    stamped,
    stamps_untouched,
    trace_without_claims,
)
from apps.experiments.mlflow_workspaces import Reach, Workspaces, call_indexed

__all__ = ["MlflowPrincipal", "MlflowProxy"]

SECRET_HEADER = "X-Slipway-MLflow-Secret"  # noqa: S105 - the header's name
BODY_BYTES = 32 * 1024 * 1024  # MLflow's own batches are limited to 1 MB
# Never handed on: the caller's own credentials, and what would make the server judge the browser's origin.
NOT_UP = {b"authorization", b"cookie", b"origin", b"referer", b"host", b"x-forwarded-for", b"forwarded", b"x-real-ip",
          b"x-mlflow-workspace"}  # fmt: skip
EXPERIMENT_HEADER, RUN_HEADER = b"x-mlflow-experiment-id", b"x-mlflow-run-id"  # of spans
NOT_UP_PREFIXES = (b"x-forwarded-", b"x-slipway-", b"sec-fetch-")
NOT_DOWN = {b"date", b"server", b"set-cookie", b"access-control-allow-origin", b"access-control-allow-credentials"}

Witness = Callable[[MlflowPrincipal, Call, Send], AbstractAsyncContextManager[Send]]


class MlflowProxy:
    """ASGI application for everything under `prefix`.

    `upstream` is the server's address ("http://127.0.0.1:5000"); `secret` is what our own server wants, `bearer` what a
    server of somebody else's does. `account_url` is where people make tokens. `touched` hears what was written about,
    `witness` before it is written by whom; it gives the `send` for the answer.
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
        touched: Callable[[frozenset[Reference]], None] = lambda references: None,
        witness: Witness = lambda principal, call, send: nullcontext(send),
    ) -> None:
        self._upstream = upstream.rstrip("/")
        self._credentials = {SECRET_HEADER: secret} if secret else {}
        if bearer:
            self._credentials["Authorization"] = f"Bearer {bearer}"
        self._prefix = prefix
        self._account = "your account page" + (f" ({account_url})" if account_url else "")
        self._touched, self._witness = touched, witness
        self._principals = Principals(authenticate, account=self._account)
        lookups = Lookups(self._upstream, lambda: self._credentials)
        self.ownership = Ownership(lookups)
        self._workspaces = Workspaces(lookups, self.ownership, possible=not secret)
        self._searches = Searches(self._upstream, lambda: self._credentials, self.ownership)

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
        written = proxying.raw_path(scope) + scope.get("query_string", b"").decode("latin-1")
        if not written.startswith(self._prefix + "/") or not written.isascii():
            raise Refused(400, "INVALID_PARAMETER_VALUE", "An address is ASCII, with its slashes as slashes.")
        body = b"" if rule.streams else await _body(receive)
        try:
            if rule.spans:
                scope, call, body = await _spans(scope, rule, body)
            else:
                query = scope.get("query_string", b"").decode("latin-1")
                call = call_read(rule=rule, method=scope["method"], path=path, query=query, body=body)
        except NotUnderstood as error:
            raise Refused(400, "INVALID_PARAMETER_VALUE", f"{error}.") from None
        try:
            _scope_check(principal, call, self._account)
            reach = await self._reach(principal, scope["headers"], call)
            workspace = await self._workspace(principal, call, reach)
            data = await self._allowed(principal, call, workspace)
            if call.path in SEARCHES:
                query = scope.get("query_string", b"").decode("latin-1")
                status, answer = await self._searches.answer(principal, call, query, reach.places)
                await Reply.json(status, answer, headers=[(b"x-request-id", request_id.encode())]).send(send)
                return
        except ServerAway as error:
            raise server_away(str(error)) from None
        if not rule.streams:
            if not rule.spans:
                body = json.dumps(data).encode() if data is not None else b""
            scope, receive = _with_body(scope, receive, body, PROTOBUF if rule.spans else "application/json")
        told = call_indexed(call, workspace)
        async with self._witness(principal, told, send) as send:
            await self._forward(scope, receive, send, request_id, workspace)
        if not call.is_read:
            self.ownership.forget(call, workspace)
            self._workspaces.forget(call)
            self._touched(told.references)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, request_id: str, workspace: str) -> None:
        await proxying.proxy_http(
            scope,
            receive,
            send,
            upstream=self._upstream,
            path=proxying.raw_path(scope).removeprefix(self._prefix),
            request_headers=lambda headers: self._up(headers, request_id, workspace),
            response_headers=lambda headers: [
                *(pair for pair in headers if pair[0] not in NOT_DOWN and pair[0] != b"x-request-id"),
                (b"x-request-id", request_id.encode()),
            ],
            on_error=lambda error: server_away(type(error).__name__).reply(),
        )

    def _up(self, headers: Headers, request_id: str, workspace: str) -> Headers:
        kept = [pair for pair in headers if pair[0] not in NOT_UP and not pair[0].startswith(NOT_UP_PREFIXES)]
        kept = [pair for pair in kept if pair[0] != b"x-request-id"]
        known = self._credentials | ({WORKSPACE_HEADER: workspace} if workspace else {})
        own = [(name.lower().encode(), value.encode()) for name, value in known.items()]
        return [*kept, *own, (b"x-request-id", request_id.encode())]

    async def _reach(self, principal: MlflowPrincipal, headers: Headers, call: Call) -> Reach:
        if call.rule.free and call.is_read and call.path not in SEARCHES:
            return Reach()  # what the server says of itself
        return await self._workspaces.reach(principal, headers, call)

    async def _workspace(self, principal: MlflowPrincipal, call: Call, reach: Reach) -> str:
        """In which workspace the call happens; "" at a server without."""
        if reach.is_open and call.is_("/experiments/create"):
            return reach.of_team(experiment_team(principal, call.data or {}))
        if reach.is_open and call.is_("/registered-models/create"):
            return reach.of_team(model_team(principal, call.data or {}))
        return await self._workspaces.place(call, reach)

    async def _allowed(self, principal: MlflowPrincipal, call: Call, workspace: str) -> dict[str, Any] | None:
        """Checks teams; returns the JSON to send, with the portal's own tags where something is made."""
        if call.is_("/experiments/create"):
            return experiment_to_create(principal, call.data or {}, workspace)
        if call.is_("/registered-models/create"):
            return model_to_create(principal, call.data or {}, workspace)
        teams = {}
        things = (each for each in call.references if each.kind is not Kind.WORKSPACE)
        for reference in sorted(things, key=lambda each: (each.kind, each.value)):
            teams[reference] = team = await self.ownership.team(reference, workspace)
            if not principal.may(call, team):
                raise _forbidden(principal, reference, team)
        if not teams and not call.rule.free:
            raise Refused(400, "INVALID_PARAMETER_VALUE", "Say which experiment, run or model this is about.")
        for reference, team in (await self.ownership.taken(call.made, workspace) if call.made else {}).items():
            if not principal.may(call, team):
                raise _forbidden(principal, reference, team)
        stamps_untouched(call)
        data = call.data
        renamed_check(principal, call, workspace, next(iter(teams.values()), None) or "")
        if data is not None and (call.is_("/runs/create") or call.is_("/logged-models")):
            team = next((team for reference, team in teams.items() if reference.kind is Kind.EXPERIMENT), None)
            return stamped(principal, data, team or "")
        if data is not None and "/traces" in call.path and not call.is_read:
            return trace_without_claims(data)
        return data


def _scope_check(principal: MlflowPrincipal, call: Call, account: str) -> None:
    if ("read" if call.is_read else "write") not in principal.scopes and not (
        call.is_read and "write" in principal.scopes
    ):
        detail = f"This token may only read. Make one with the scope write on {account}."
        raise Refused(403, "PERMISSION_DENIED", detail)


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


async def _spans(scope: Scope, rule: Rule, body: bytes) -> tuple[Scope, Call, bytes]:
    """Spans understood, and written anew with the one pair of headers that was looked at."""
    named = {name: header(scope["headers"], name) or "" for name in (EXPERIMENT_HEADER, RUN_HEADER)}
    body, traces = await asyncio.to_thread(
        spans_read,
        body,
        content_type=header(scope["headers"], b"content-type") or "",
        content_encoding=header(scope["headers"], b"content-encoding") or "",
    )
    call = spans_call(rule=rule, experiment=named[EXPERIMENT_HEADER], run=named[RUN_HEADER], traces=traces)
    kept = [pair for pair in scope["headers"] if pair[0] not in (*named, b"content-encoding")]
    own = [(name, value.encode("latin-1")) for name, value in named.items() if value]
    return {**scope, "headers": [*kept, *own]}, call, body


def _with_body(scope: Scope, receive: Receive, body: bytes, kind: str) -> tuple[Scope, Receive]:
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
        headers += [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
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
