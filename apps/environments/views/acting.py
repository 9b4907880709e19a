"""What people do to an environment by a button: each posts, asks a service, and leads back to the page."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.exceptions import Conflict, InvalidInput
from apps.environments import services
from apps.environments.exceptions import ConfirmationMissing
from apps.environments.forms import ExtendForm
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, require
from apps.environments.stopping import lost_on_stop
from apps.environments.views.finding import find
from apps.environments.views.presenting import destroy_context, services_of, stop_context


def _back(request: HttpRequest, environment: Environment, query: str = "") -> HttpResponse:
    """To the environment's page, or to the list the button stood in."""
    wanted = request.POST.get("next", "")
    if wanted and url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) and wanted.startswith("/"):
        return redirect(wanted)
    return redirect(reverse("environments:detail", args=[environment.pk]) + query)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Where a stop loses something it says what, and asks once; GET only asks."""
    environment = find(request, pk)
    require(request.user, EnvironmentPermission.STOP, environment)  # type: ignore[arg-type]
    asks = lost_on_stop(environment.module_version) and "confirmed" not in request.POST
    if request.method != "POST" or asks:
        context = {"environment": environment, "confirm": stop_context(environment)}
        return render(request, "environments/stop.html", context)
    try:
        services.environment_stop(environment=environment, actor=request.user)  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    return _back(request, environment)


@login_required
@require_POST
def start(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Start; with `open` the page moves on to the application, at `path`, once it runs."""
    environment = find(request, pk)
    path = request.POST.get("path", "")
    query = ""
    if "open" in request.POST or path:
        query = "?" + urlencode({"open": path if path.startswith("/") else ""})
    try:
        services.environment_start(environment=environment, actor=request.user)  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    return _back(request, environment, query)


@login_required
@require_POST
def retry(request: HttpRequest, pk: UUID) -> HttpResponse:
    environment = find(request, pk)
    try:
        services.environment_retry(environment=environment, actor=request.user)  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    return _back(request, environment)


@login_required
@require_POST
def refresh(request: HttpRequest, pk: UUID) -> HttpResponse:
    environment = find(request, pk)
    try:
        services.environment_refresh(environment=environment, actor=request.user)  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    else:
        messages.info(request, "Looking for changes made outside Slipway. This takes a few seconds.")
    return _back(request, environment)


@login_required
@require_POST
def reconcile(request: HttpRequest, pk: UUID) -> HttpResponse:
    environment = find(request, pk)
    try:
        services.environment_reconcile(environment=environment, actor=request.user)  # type: ignore[arg-type]
    except Conflict as error:
        messages.warning(request, str(error))
    return _back(request, environment)


@login_required
@require_POST
def extend(request: HttpRequest, pk: UUID) -> HttpResponse:
    environment = find(request, pk)
    require(request.user, EnvironmentPermission.EXTEND, environment)  # type: ignore[arg-type]
    form = ExtendForm(request.POST)
    try:
        if not form.is_valid():
            raise InvalidInput("Choose by how long.")
        services.environment_extend(
            environment=environment,
            actor=request.user,  # type: ignore[arg-type]
            seconds=form.cleaned_data["seconds"],
        )
    except (Conflict, InvalidInput) as error:
        messages.warning(request, str(error))
    return _back(request, environment)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def destroy(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET asks for the name where files would be lost; POST destroys."""
    environment = find(request, pk)
    require(request.user, EnvironmentPermission.DESTROY, environment)  # type: ignore[arg-type]
    error = ""
    if request.method == "POST":
        try:
            services.environment_destroy(
                environment=environment,
                actor=request.user,  # type: ignore[arg-type]
                confirm=request.POST.get("confirm", ""),
            )
            return _back(request, environment)
        except ConfirmationMissing as missing:
            error = str(missing)
        except Conflict as conflict:
            messages.warning(request, str(conflict))
            return _back(request, environment)
    confirm = {**destroy_context(environment, services_of(environment)), "error": error}
    context = {"environment": environment, "confirm": confirm}
    return render(request, "environments/destroy.html", context, status=422 if error else 200)
