from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe


@login_required
@require_safe
def policies(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


@login_required
@require_safe
def policy_new(request: HttpRequest) -> HttpResponse:
    return HttpResponse("")


@login_required
@require_safe
def policy(request: HttpRequest, slug: str) -> HttpResponse:
    return HttpResponse("")
