"""Asking applications what they are doing. The address and the secret are those the access proxy uses."""

import asyncio
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any
from urllib.parse import quote

import aiohttp

from apps.environments.access.contracts import Upstream

ANSWER_SECONDS = 3
AT_ONCE = 50
CONNECTION_PATH = "/slipway/connection"
CONNECTION_BYTES = 64 * 1024


async def _busy_since(session: aiohttp.ClientSession, upstream: Upstream, gate: asyncio.Semaphore) -> datetime | None:
    """When the longest-computing kernel was last heard of before it began; None while all are idle.

    Raises aiohttp.ClientError or TimeoutError where the application does not answer.
    """
    headers = {"Authorization": upstream.authorization} if upstream.authorization else {}
    async with gate, session.get(f"{upstream.url}/api/kernels", headers=headers) as answer:
        answer.raise_for_status()
        kernels = await answer.json()
    busy = [
        datetime.fromisoformat(kernel["last_activity"].replace("Z", "+00:00"))
        for kernel in kernels
        if kernel.get("execution_state") == "busy"
    ]
    return min(busy, default=None)


async def _ask_all(upstreams: list[Upstream]) -> list[datetime | BaseException | None]:
    gate = asyncio.Semaphore(AT_ONCE)
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        questions = [_busy_since(session, upstream, gate) for upstream in upstreams]
        return await asyncio.gather(*questions, return_exceptions=True)


def kernels_ask(upstreams: list[Upstream]) -> dict[str, datetime | None]:
    """Environment id to the time since which a Jupyter kernel of it computes, None while all are idle.

    Who does not answer is left out.
    """
    answers = asyncio.run(_ask_all(upstreams)) if upstreams else []
    return {
        upstream.environment_id: answer
        for upstream, answer in zip(upstreams, answers, strict=True)
        if not isinstance(answer, BaseException)
    }


def connection_ask(upstream: Upstream, *, who: str) -> dict[str, Any] | None:
    """What the cluster gives to a client named `who`; None where it gives no answer, or one that is none.

    It is asked with a key made of its secret: the secret itself goes with every request of a browser, and opens only
    the dashboard (`slipway_cluster.door` of the modules).
    """
    key = hmac.new(upstream.secret.encode(), b"slipway connection", hashlib.sha256).hexdigest()
    url = f"{upstream.url}{CONNECTION_PATH}?for={quote(who[:64], safe='')}"
    try:
        return asyncio.run(_connection(url, {"Authorization": f"Bearer {key}"}))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return None


async def _connection(url: str, headers: dict[str, str]) -> dict[str, Any] | None:
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
        session.post(url, headers=headers, allow_redirects=False) as answer,
    ):
        answer.raise_for_status()
        body = await answer.content.read(CONNECTION_BYTES)
    told = json.loads(body)
    return told if answer.status == 200 and isinstance(told, dict) else None
