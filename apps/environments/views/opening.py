"""From a click or a bookmark to the application: a ticket where it runs, otherwise a page that says why it does not."""

import re
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.environments.access.contracts import AccessSettings, Person, safe_path
from apps.environments.access.portal_sessions import portal_session_remember
from apps.environments.access.tickets import CHALLENGE, ticket_issue
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, can
from apps.environments.selectors import applications_of, environments_full, is_serving
from apps.environments.services import environment_opened
from apps.environments.stopping import lost_on_stop
from apps.environments.views.presenting import EnvironmentPage
from apps.environments.words import status_word
from apps.provisioning.selectors import workspace_outputs

S = Environment.Status
EXTERNAL = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s\\<>\"']*)?", re.ASCII)


@login_required
@never_cache
@require_safe
def open_application(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _open(request, environments_full(Environment.objects.visible_to(request.user)).filter(pk=pk).first())  # type: ignore[arg-type]


@login_required
@never_cache
@require_safe
def open_slug(request: HttpRequest, slug: str) -> HttpResponse:
    """Where an application host sends a browser that it does not know."""
    return _open(request, environments_full(Environment.objects.visible_to(request.user)).filter(slug=slug).first())  # type: ignore[arg-type]


def _open(request: HttpRequest, environment: Environment | None) -> HttpResponse:
    """For the owner only; to everybody else there is nothing here, whatever else they may see."""
    user: Any = request.user
    if environment is None or not can(user, EnvironmentPermission.OPEN, environment):
        raise Http404
    path = asked_path(request.GET.get("path", ""), environment)
    if is_serving(environment) and applications_of(environment.module_version):
        address = external_address(environment)
        return _let_in(request, environment, path) if address is None else _lead_out(request, environment, address)
    page = EnvironmentPage(environment, user)
    context = {
        "environment": environment,
        "page": page,
        "word": status_word(environment),
        "path": path,
        "kept": "" if lost_on_stop(environment.module_version) else "Its files are kept.",
        "overview": page.overview(),
        "is_busy": page.active is not None,
        "can_start": page.active is None and environment.status in (S.STOPPED, S.FAILED),
        "start_url": reverse("environments:start", args=[environment.pk]),
        "waiting": waiting_context(environment, path),
    }
    return render(request, "environments/open.html", context)


@login_required
@never_cache
@require_safe
def waiting(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The part of a page that waits for an application: progress, and the way on once it runs."""
    environment = environments_full(Environment.objects.visible_to(request.user)).filter(pk=pk).first()  # type: ignore[arg-type]
    if environment is None or not can(request.user, EnvironmentPermission.OPEN, environment):  # type: ignore[arg-type]
        raise Http404
    path = asked_path(request.GET.get("path", ""), environment)
    if is_serving(environment) and "HX-Request" in request.headers and "X-Live" not in request.headers:
        # The part that was fetched when it began to run asks once more, and htmx moves the tab on.
        url = f"{reverse('environments:open', args=[pk])}?{urlencode({'path': path})}"
        return HttpResponse(headers={"HX-Redirect": url})
    context = {"environment": environment, "waiting": waiting_context(environment, path), "moves_on": True}
    return render(request, "environments/_waiting.html", context)


def waiting_context(environment: Environment, path: str) -> dict[str, Any]:
    """What `_waiting.html` follows and says."""
    applications = applications_of(environment.module_version)
    url = f"{reverse('environments:waiting', args=[environment.pk])}?{urlencode({'path': path})}"
    return {
        "topic": environment.topic,
        "url": url,
        "is_ready": is_serving(environment),
        "ended": environment.status in (S.FAILED, S.STOPPED, S.DESTROYED, S.DESTROYING),
        "title": applications[0].title if applications else "the application",
    }


def asked_path(wanted: str, environment: Environment) -> str:
    """A path on the application's own host; without one, where its module says people begin."""
    path = safe_path(wanted)
    if path != "/":
        return path
    applications = applications_of(environment.module_version)
    return applications[0].path if applications else "/"


def _let_in(request: HttpRequest, environment: Environment, path: str) -> HttpResponse:
    """Without a challenge the browser goes to the application host first, which sends it back here with one."""
    user: Any = request.user
    challenge = request.GET.get("challenge", "")
    if CHALLENGE.fullmatch(challenge):
        environment_opened(environment=environment, actor=user)
    session_key = request.session.session_key or ""
    address = ticket_issue(
        access_settings(),
        person=Person(str(user.pk), portal_session_remember(session_key)),
        environment_id=str(environment.pk),
        slug=environment.slug,
        path=path,
        challenge=challenge,
    )
    assert (urlsplit(address).hostname or "").endswith(urlsplit(settings.APPS_URL).hostname or "")
    return redirect(address)


def external_address(environment: Environment) -> str | None:
    """Where an application is that signs people in by itself; None for one behind the portal's proxy."""
    application = applications_of(environment.module_version)[0]
    if not application.external:
        return None
    outputs = workspace_outputs(environment.workspace) if environment.workspace else {}
    address = str(outputs.get(application.address_output, {}).get("value") or "")
    # A module writes it: nothing but a plain address leaves the portal, and no script.
    return address if EXTERNAL.fullmatch(address) else ""


def _lead_out(request: HttpRequest, environment: Environment, address: str) -> HttpResponse:
    """To an address outside: Slipway's sign-in does not go with it, and its proxy does not see what is done there."""
    user: Any = request.user
    title = applications_of(environment.module_version)[0].title
    if not address:
        messages.warning(request, f"{title} has no address yet. Check for drift, or look at the outputs of its module.")
        return redirect("environments:detail", pk=environment.pk)
    environment_opened(environment=environment, actor=user, outside=title)
    return redirect(address)


def access_settings() -> AccessSettings:
    return AccessSettings(portal_url=settings.PORTAL_URL, apps_url=settings.APPS_URL)
