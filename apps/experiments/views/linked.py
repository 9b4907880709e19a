"""Where the links lead that MLflow's client prints in a notebook: `/mlflow/#/experiments/1/runs/a1b2`."""

import re
from contextlib import suppress
from urllib.parse import unquote

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_safe

# Of MLflow's own pages to those here; what follows in an address, such as a tab, is left out.
PLACES = (
    (re.compile(r"/experiments/[^/]+/runs/([0-9A-Za-z]+)(?:/|$)"), "experiments:run"),
    (re.compile(r"/experiments/([0-9A-Za-z]+)(?:/|$)"), "experiments:experiment"),
    (re.compile(r"/models/([^/]+)/versions/([0-9]{1,9})(?:/|$)"), "registry:version"),
    (re.compile(r"/models/([^/]+)(?:/|$)"), "registry:model"),
    (re.compile(r"/models/?$"), "registry:list"),
)


@login_not_required
@require_safe
def linked(request: HttpRequest) -> HttpResponse:
    """A browser keeps what is behind `#` to itself, so the page asks again with it as `at`.

    It shows nothing of anybody's, and whether a page may be seen is for that page to say.
    """
    at = request.GET.get("at")
    return render(request, "experiments/linked.html") if at is None else redirect(page_of(at))


def page_of(at: str) -> str:
    """The page here for MLflow's; the experiments where there is none."""
    path = at.partition("?")[0]
    for pattern, name in PLACES:
        if found := pattern.match(path):
            with suppress(NoReverseMatch):
                return reverse(name, args=[unquote(part) for part in found.groups()])
    return reverse("experiments:list")
