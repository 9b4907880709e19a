"""Django's ASGI handler with every middleware and view of a request in one stretch of one thread.

Django's own crosses from the event loop to the request's thread and back for most of the middleware, about twenty
times a request. Each crossing waits for the interpreter's lock, which is up to 5 ms for every other request that is
computing. No middleware or view of ours awaits anything, so there is nothing to cross for.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.core.passing_on import PassedOn, pass_on

# Threads that wait for the next request; those of a rush beyond them end with it.
MOST_IDLE = 16


class OneThreadHandler(ASGIHandler):
    """`ASGIHandler` over the synchronous chain of middleware; receiving, sending and disconnects are as there.

    A request has a thread to itself, which the next one uses again: Django starts one for each, and another to end it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._idle: list[ThreadPoolExecutor] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Pages answer HTTP, not {scope['type']}.")
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1, thread_name_prefix="page")
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(thread)
            else:
                thread.shutdown(wait=False)

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        answer: Any = await sync_to_async(self._answer, thread_sensitive=True)(request)
        return answer  # type: ignore[no-any-return]

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, PassedOn):
            connections.close_all()  # A download takes as long as its reader takes.
        return response

    async def send_response(self, response: Any, send: Any) -> None:
        if isinstance(response, PassedOn):
            await pass_on(response, send)
        else:
            await super().send_response(response, send)
