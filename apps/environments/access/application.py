"""The ASGI application behind the application hosts."""

import asyncio
import time

from apps.core import proxying
from apps.core.proxying import Guard, Receive, Reply, Scope, Send
from apps.environments.access import headers, pages
from apps.environments.access.activity import ActivityLog
from apps.environments.access.contracts import AccessSettings, Activity, ActivityCallback, Asked, Resolver
from apps.environments.access.gate import Admitted, Gate
from apps.environments.access.origin import SAFE
from apps.environments.access.tickets import Claim, claim_in_cache

POLICY_VIOLATION = 1008  # RFC 6455 section 7.4.1
GOING_AWAY = 1001


class AccessApplication:
    """Serves every host under `settings.apps_url`.

    `resolver` says whether an environment exists and a person may use it; `activity` is told what people do. Ask
    `serves(scope)` first; everything else of the portal is not this application's.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        settings: AccessSettings,
        activity: ActivityCallback | None = None,
        claim: Claim = claim_in_cache,
    ) -> None:
        self.settings = settings
        self.gate = Gate(settings, resolver, claim=claim)
        self.activity = ActivityLog(activity)

    def serves(self, scope: Scope) -> bool:
        if scope["type"] not in ("http", "websocket"):
            return False
        return self.settings.is_application_host(proxying.header(scope["headers"], b"host") or "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = Asked.from_scope(scope)
        decision = await self.gate.decide(asked)
        if asked.websocket:
            await self._websocket(scope, receive, send, asked, decision)
        elif isinstance(decision, Reply):
            await decision.send(send)
        else:
            await self._http(scope, receive, send, asked, decision)

    async def _http(self, scope: Scope, receive: Receive, send: Send, asked: Asked, admitted: Admitted) -> None:
        upstream = admitted.upstream
        self.activity.record(upstream.environment_id, kind_of(asked))
        await proxying.proxy_http(
            scope,
            receive,
            send,
            upstream=upstream.url,
            request_headers=headers.request_hook(self.settings, upstream, scope),
            response_headers=headers.response_hook(self.settings, admitted.cookies),
            on_error=lambda error: pages.unreachable(
                asked, upstream.title, self.gate.portal_page(asked, upstream.slug)
            ),
            guard=self._guard(admitted),
        )

    async def _websocket(
        self, scope: Scope, receive: Receive, send: Send, asked: Asked, decision: Admitted | Reply
    ) -> None:
        if isinstance(decision, Reply):
            await receive()
            await proxying.websocket_refuse(scope, send, decision)
            return
        upstream = decision.upstream
        self.activity.opened(upstream.environment_id)
        try:
            await proxying.proxy_websocket(
                scope,
                receive,
                send,
                upstream=upstream.url,
                request_headers=headers.request_hook(self.settings, upstream, scope),
                response_headers=headers.response_hook(self.settings, []),
                on_error=lambda error: pages.unreachable(asked, upstream.title, ""),
                guard=self._guard(decision, connected=True),
                on_message=lambda: self.activity.record(upstream.environment_id, Activity.MESSAGE),
            )
        finally:
            self.activity.closed(upstream.environment_id)

    def _guard(self, admitted: Admitted, *, connected: bool = False) -> Guard:
        """Ends what is open when the person may no longer use the environment, or it has moved or stopped."""

        async def guard() -> tuple[int, str]:
            answered_at = time.monotonic()
            while True:
                await asyncio.sleep(self.settings.recheck_seconds)
                try:
                    resolution = await self.gate.resolve(admitted.upstream.slug, admitted.person)
                except Exception:  # Whatever the resolver met, what is open stays open for a while.
                    if time.monotonic() - answered_at > self.settings.blind_seconds:
                        return GOING_AWAY, "The portal does not answer"
                    continue
                answered_at = time.monotonic()
                now = resolution.upstream
                if now is None or not resolution.permitted:
                    return POLICY_VIOLATION, "Your access has ended"
                if now.status != "running" or now.address != admitted.upstream.address:
                    return GOING_AWAY, "The environment was stopped"
                if connected:
                    self.activity.record(now.environment_id, Activity.CONNECTED)

        return guard


def kind_of(asked: Asked) -> Activity:
    if asked.method not in SAFE:
        return Activity.CHANGE
    return Activity.PAGE if asked.is_navigation else Activity.POLL
