"""What a request costs before any page is made: crossings between the event loop and its thread."""

import asyncio
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncRequestFactory

from portal.handler import OneThreadHandler

pytestmark = pytest.mark.django_db(transaction=True)


async def crossings(handler: ASGIHandler, path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Status of a GET, and how often the event loop waited for the request's thread."""
    counted, sent = 0, []
    crossing = SyncToAsync.__call__

    async def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal counted
        counted += 1
        return await crossing(self, *args, **kwargs)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    received: list[bool] = []

    async def receive() -> dict[str, Any]:
        if received:
            await asyncio.sleep(30)
        received.append(True)
        return {"type": "http.request"}

    scope = AsyncRequestFactory().get(path).scope
    with monkeypatch.context() as patched:
        patched.setattr(SyncToAsync, "__call__", counting)
        await handler(scope, receive, send)
    return sent[0]["status"], counted


@pytest.mark.asyncio
async def test_a_request_crosses_into_its_thread_once_and_closes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    status, counted = await crossings(OneThreadHandler(), "/accounts/sign-in/", monkeypatch)
    assert status == 200
    # The beginning and the end of a request are signals with receivers of Django's own.
    assert counted <= 5
    _, of_django = await crossings(ASGIHandler(), "/accounts/sign-in/", monkeypatch)
    assert of_django > 2 * counted
