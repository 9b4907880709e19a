"""Addresses that our MLflow server has beside MLflow's own. Only the portal knows them; its route leads to none.

MLflow's REST API spends most of a long answer on making a protobuf message of every metric, parameter and tag, and of
those, twice over, dicts. What is said here is read by MLflow's own store and written as JSON at once. Errors are
MLflow's own.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from apps.experiments.mlflow_server import histories, run_pages

Application = Callable[[MutableMapping[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]
ADDRESSES: dict[str, Callable[[dict[str, list[str]], bytes], Any]] = {
    histories.PATH: histories.answer,
    run_pages.PATH: run_pages.answer,
}


class Additions:
    """ASGI middleware: answers `ADDRESSES`, by whatever method, and passes everything else on."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[..., Any], send: Callable[..., Any]
    ) -> None:
        answer = ADDRESSES.get(scope["path"]) if scope["type"] == "http" else None
        if answer is None:
            await self._application(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode("ascii", "replace"))
        status, content = await asyncio.to_thread(_answered, answer, query, await _body(receive))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _body(receive: Callable[..., Any]) -> bytes:
    parts = []
    while (event := await receive())["type"] == "http.request":
        parts.append(event.get("body", b""))
        if not event.get("more_body"):
            break
    return b"".join(parts)


def _answered(
    answer: Callable[[dict[str, list[str]], bytes], Any], query: dict[str, list[str]], body: bytes
) -> tuple[int, bytes]:
    from mlflow.exceptions import MlflowException

    try:
        return 200, json.dumps(answer(query, body), separators=(",", ":")).encode()
    except MlflowException as error:
        return error.get_http_status_code(), error.serialize_as_json().encode()
