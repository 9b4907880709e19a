"""Answers to what went wrong: a page for people, RFC 9457 problem JSON for scripts."""

from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.utils.html import escape

from apps.core.correlation import correlation_id
from apps.core.exceptions import UserError

PROBLEM_JSON = "application/problem+json"
# What a database that is away raises, and a transaction that PostgreSQL ended for its own reasons (a deadlock).
DATABASE_AWAY = (OperationalError, InterfaceError)
AWAY_CODE = "core:database-unavailable"
AWAY_WORDS = (
    "Notebooks and changes go on meanwhile. Your last step may not have been saved: look before you repeat it. "
    "This usually passes within a few seconds."
)
AWAY_RETRY_S = 5
TITLES = {
    400: "The request could not be read",
    401: "Sign in first",
    403: "You may not do this",
    404: "Not found, or not shared with you",
    405: "This address does not answer to this method",
    409: "Something else changed this first",
    422: "The request cannot be carried out as it is",
    429: "Too many requests",
    500: "Something broke on our side",
    503: "A part of the portal does not answer just now",
}


def problem(
    status: int, code: str, detail: str = "", *, title: str = "", errors: dict[str, list[str]] | None = None
) -> dict[str, Any]:
    """The body of a problem document; `code` is stable, `type` is derived from it."""
    body: dict[str, Any] = {
        "type": f"urn:slipway:problem:{code}",
        "title": title or TITLES.get(status, "The request cannot be carried out"),
        "status": status,
        "detail": detail,
        "code": code,
        "correlation_id": correlation_id.get(),
    }
    if errors:
        body["errors"] = errors
    return body


def wants_problem(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def failure(
    request: HttpRequest, status: int, code: str, detail: str = "", *, template: str = "", **context: Any
) -> HttpResponse:
    """Problem JSON under `/api/`, elsewhere `errors/<status>.html` with `detail` as its text."""
    if wants_problem(request):
        return JsonResponse(problem(status, code, detail), status=status, content_type=PROBLEM_JSON)
    values = {"exception": detail, "message": detail, "correlation_id": correlation_id.get(), **context}
    try:
        body: str = render_to_string(template or f"errors/{status}.html", values, request=_without_person(request))
    except TemplateDoesNotExist:
        title = escape(TITLES.get(status, "Something went wrong"))
        body = f'<!doctype html><html lang="en"><title>{title}</title><h1>{title}</h1><p>{escape(detail)}</p></html>'
    return HttpResponse(body, status=status)


def unavailable(request: HttpRequest) -> HttpResponse:
    """The database does not answer: 503 with `Retry-After`, made without asking it who the person is."""
    response: HttpResponse
    if wants_problem(request):
        response = JsonResponse(problem(503, AWAY_CODE, AWAY_WORDS), status=503, content_type=PROBLEM_JSON)
    else:
        values = {"message": AWAY_WORDS, "correlation_id": correlation_id.get()}
        response = HttpResponse(render_to_string("errors/503.html", values), status=503)
    response.headers["Retry-After"] = str(AWAY_RETRY_S)
    return response


def not_allowed_said(request: HttpRequest, response: HttpResponse) -> None:
    """A page for who opens the address of a form, by the browser's history or a copied link."""
    if not wants_problem(request):
        response.content = render_to_string("errors/405.html").encode()
        if "Content-Length" in response.headers:  # Of the empty answer, by a middleware that came before.
            response.headers["Content-Length"] = str(len(response.content))


def _without_person(request: HttpRequest) -> HttpRequest | None:
    """Middleware that refuses early has no `request.user`; the shell's context needs one."""
    return request if hasattr(request, "user") else None


def user_error(request: HttpRequest, error: UserError) -> HttpResponse:
    """What a page answers when a service refuses and the view does not say it beside a field."""
    retry_after = getattr(error, "retry_after", None)
    known = {400: "errors/400.html", 403: "errors/403.html", 404: "errors/404.html", 429: "errors/429.html"}
    template = known.get(error.status, "errors/403.html") if error.status != 400 else "core/refused.html"
    if error.status in (409, 422):
        template = "core/refused.html"
    response = failure(
        request, error.status, error.code, str(error), template=template, title=error.title, retry_after=retry_after
    )
    if retry_after:
        response.headers["Retry-After"] = str(retry_after)
    return response
