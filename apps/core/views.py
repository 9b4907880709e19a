"""Health, figures and the pages of things gone wrong. All of them answer without a signed-in person."""

import sys

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from apps.core import health, responses
from apps.core.metrics import metrics_text


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process is up. Asks nothing else, so that a broken database does not restart the web server."""
    return JsonResponse({"status": "up"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Every part with its state. 503 when a required part is down, "degraded" with 200 when another is."""
    states = health.states()
    down = [state for state in states if not state.is_up]
    unavailable = any(state.required for state in down)
    checks = {
        state.name: {
            "state": state.state,
            "detail": state.detail,
            "required": state.required,
            "milliseconds": state.milliseconds,
        }
        for state in states
    }
    status = "unavailable" if unavailable else "degraded" if down else "ready"
    return JsonResponse({"status": status, "checks": checks}, status=503 if unavailable else 200)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text. Holds counts only, no name of a person or thing."""
    return HttpResponse(metrics_text(), content_type=CONTENT_TYPE_LATEST)


@login_not_required
def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if isinstance(exception, RequestDataTooBig):
        detail = "The request is too large."
        return responses.failure(request, 413, "core:too-large", detail, template="errors/400.html")
    return responses.failure(request, 400, "core:malformed")


@login_not_required
def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return responses.failure(request, 403, "core:forbidden", str(exception))


@login_not_required
def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return responses.failure(request, 404, "core:not-found")


@login_not_required
def server_error(request: HttpRequest) -> HttpResponse:
    # Django calls this while it handles the exception; one that a middleware raised has been nowhere else before.
    if isinstance(sys.exc_info()[1], responses.DATABASE_AWAY):
        return responses.unavailable(request)
    return responses.failure(request, 500, "core:bug", "Look in the log for this correlation id.")


@login_not_required
def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    detail = "The form's token is missing or old. Load the page again and repeat the step."
    return responses.failure(request, 403, "core:csrf", detail, template="errors/403_csrf.html")
