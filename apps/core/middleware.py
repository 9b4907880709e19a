"""What happens to every request before any page sees it: an id for the log, and the refusal of foreign requests."""

import logging
import re
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseNotAllowed, QueryDict
from django.http.response import HttpResponseBase

from apps.core import responses
from apps.core.correlation import correlation_id, new_correlation_id
from apps.core.exceptions import UserError
from apps.core.metrics import request_observe

log = logging.getLogger(__name__)

GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,32}")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
OWN_SITES = frozenset({"same-origin", "none"})
FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})

Answer = HttpResponseBase | Awaitable[HttpResponseBase]


class CorrelationMiddleware:
    """Gives every request an id, answers with it, and turns what people can do something about into a readable page."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        if self.is_async:
            return self._answer_async(request)
        token, started = self._begin(request), time.monotonic()
        try:
            response = self.get_response(request)
            return self._end(request, response, started)  # type: ignore[arg-type]
        finally:
            correlation_id.reset(token)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        token, started = self._begin(request), time.monotonic()
        try:
            return self._end(request, await self.get_response(request), started)  # type: ignore[misc]
        finally:
            correlation_id.reset(token)

    def _begin(self, request: HttpRequest):  # type: ignore[no-untyped-def]
        given = request.headers.get("X-Request-Id", "")
        return correlation_id.set(given if GIVEN_ID.fullmatch(given) else new_correlation_id())

    def _end(self, request: HttpRequest, response: HttpResponseBase, started: float) -> HttpResponseBase:
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            responses.not_allowed_said(request, response)
        response.headers["X-Request-Id"] = correlation_id.get()
        request_observe(request.method or "", response.status_code, time.monotonic() - started)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """A page that raises `UserError` says what it says; anything else stays a bug."""
        if isinstance(exception, UserError):
            return responses.user_error(request, exception)
        if isinstance(exception, responses.DATABASE_AWAY):
            log.warning("the database does not answer: %s", str(exception).partition("\n")[0])
            return responses.unavailable(request)
        return None


class FetchSiteMiddleware:
    """Refuses writes that another site's page sends with our cookies, and addresses that no page of ours holds."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Answer]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        if self.is_async:
            return self._answer_async(request)
        return self._refusal(request) or self.get_response(request)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        return self._refusal(request) or await self.get_response(request)  # type: ignore[misc]

    def _refusal(self, request: HttpRequest) -> HttpResponseBase | None:
        # PostgreSQL's text cannot hold NUL, so nothing with one can mean anything.
        if "\x00" in request.path or _field_with_nul(request.GET) is not None:
            return responses.failure(request, 400, "core:malformed", "The address holds a NUL character.")
        if request.method in SAFE_METHODS:
            return None
        if not is_own_page(request):
            detail = "This request was sent by a page of another site. Nothing was changed."
            return responses.failure(request, 403, "core:foreign-origin", detail)
        # The API reads its own bodies, see core.api.parsers.
        is_form = request.method == "POST" and request.content_type in FORMS and not responses.wants_problem(request)
        if is_form and (name := _field_with_nul(request.POST)) is not None:
            detail = f"The field “{name[:40]}” holds a NUL character: take it out and send it again."
            return responses.failure(request, 400, "core:malformed", detail)
        return None


def _field_with_nul(fields: QueryDict) -> str | None:
    """The name of the first field that holds one, or whose name does."""
    found = (name for name, values in fields.lists() if any("\x00" in text for text in (name, *values)))
    name = next(found, None)
    return None if name is None else name.replace("\x00", "")


def is_own_page(request: HttpRequest) -> bool:
    """Whether a write was sent by a page of the portal itself, or by something that is not a browser."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None and site not in OWN_SITES:
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    portal = urlsplit(settings.PORTAL_URL)
    own = {f"{portal.scheme}://{portal.netloc}", f"{request.scheme}://{request.get_host()}"}
    return origin.lower() in {address.lower() for address in own}
