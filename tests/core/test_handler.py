"""What a request costs before any page is made: crossings between the event loop and its thread, and the thread."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory

from portal.handler import MOST_IDLE, OneThreadHandler

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

    with monkeypatch.context() as patched:
        patched.setattr(SyncToAsync, "__call__", counting)
        await asked(handler, path, send)
    return sent[0]["status"], counted


async def asked(handler: ASGIHandler, path: str, send: Any) -> None:
    received: list[bool] = []

    async def receive() -> dict[str, Any]:
        if received:
            await asyncio.sleep(30)
        received.append(True)
        return {"type": "http.request"}

    await handler(dict(AsyncRequestFactory().get(path).scope), receive, send)


@pytest.mark.asyncio
async def test_a_request_crosses_into_its_thread_once_and_closes_there(monkeypatch: pytest.MonkeyPatch) -> None:
    status, counted = await crossings(OneThreadHandler(), "/accounts/sign-in/", monkeypatch)
    assert status == 200
    # The beginning and the end of a request are signals with receivers of Django's own.
    assert counted <= 5
    _, of_django = await crossings(ASGIHandler(), "/accounts/sign-in/", monkeypatch)
    assert of_django > 2 * counted


@pytest.mark.asyncio
async def test_requests_at_the_same_time_have_threads_of_their_own_and_later_ones_use_them_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler, all_there, threads = OneThreadHandler(), threading.Barrier(3), []

    def answer(request: HttpRequest) -> HttpResponse:
        threads.append(threading.get_ident())
        if request.path == "/together/":
            all_there.wait(timeout=20)  # Breaks where one waits for the thread of another.
        return HttpResponse("")

    async def send(message: dict[str, Any]) -> None:
        pass

    monkeypatch.setattr(handler, "get_response", answer)
    await asyncio.gather(*(asked(handler, "/together/", send) for _ in range(3)))
    together = set(threads)
    assert len(together) == 3
    threads.clear()
    for _ in range(6):
        await asked(handler, "/alone/", send)
    assert len(threads) == 6
    assert len(set(threads)) == 1
    assert set(threads) <= together


@pytest.mark.asyncio
async def test_a_rush_of_requests_leaves_no_more_threads_than_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, count = OneThreadHandler(), MOST_IDLE + 8
    all_there = threading.Barrier(count)
    before = set(threading.enumerate())

    def answer(request: HttpRequest) -> HttpResponse:
        all_there.wait(timeout=20)
        return HttpResponse("")

    async def send(message: dict[str, Any]) -> None:
        pass

    def own() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in before and "page" in thread.name]

    monkeypatch.setattr(handler, "get_response", answer)
    await asyncio.gather(*(asked(handler, "/", send) for _ in range(count)))
    for _ in range(100):
        if len(own()) <= MOST_IDLE:
            break
        await asyncio.sleep(0.05)
    assert len(own()) == MOST_IDLE


@pytest.mark.asyncio
async def test_who_leaves_in_the_middle_of_a_page_keeps_nobody_else_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    handler, begun, go_on = OneThreadHandler(), threading.Event(), threading.Event()

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path == "/slow/":
            begun.set()
            go_on.wait(timeout=30)
        return HttpResponse("")

    async def send(message: dict[str, Any]) -> None:
        pass

    received: list[bool] = []

    async def leaves() -> dict[str, Any]:
        if not received:
            received.append(True)
            return {"type": "http.request"}
        await asyncio.to_thread(begun.wait, 20)
        return {"type": "http.disconnect"}

    monkeypatch.setattr(handler, "get_response", answer)
    left = asyncio.create_task(handler(dict(AsyncRequestFactory().get("/slow/").scope), leaves, send))
    try:
        assert await asyncio.to_thread(begun.wait, 20)
        await asyncio.sleep(0.5)  # Until it has been noticed.
        for _ in range(3):
            await asyncio.wait_for(asked(handler, "/quick/", send), timeout=10)
    finally:
        go_on.set()
    await asyncio.wait_for(left, timeout=20)
