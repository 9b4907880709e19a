"""Taking over what exists into an environment that is there already, or whose launch named a wrong id."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.core.exceptions import Conflict, InvalidInput, NotAllowed
from apps.environments.permissions import EnvironmentPermission, require
from apps.environments.services.taking_over import environment_take_over
from apps.environments.takeover import may_take_over
from apps.environments.takeover_forms import TakeOverForm
from apps.environments.views.finding import find


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def take_over(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET asks for addresses and ids; POST plans, and the plan waits."""
    environment = find(request, pk)
    user: Any = request.user
    require(user, EnvironmentPermission.TAKE_OVER, environment)
    interface = environment.module_version.parsed()
    if not may_take_over(user, interface):
        raise NotAllowed("Only a platform engineer can take something over with this module")
    form = TakeOverForm(request.POST if request.method == "POST" else None, interface=interface, user=user)
    if request.method == "POST" and form.is_valid():
        try:
            environment_take_over(environment=environment, actor=user, imports=form.imports())
        except InvalidInput as error:
            form.show(error)
        except Conflict as error:
            messages.warning(request, str(error))
            return redirect("environments:detail", pk=pk)
        else:
            return redirect("environments:detail", pk=pk)
    crumbs = [
        {"label": "Environments", "url": reverse("environments:list")},
        {"label": environment.name, "url": reverse("environments:detail", args=[environment.pk])},
    ]
    context = {
        "environment": environment,
        "crumbs": crumbs,
        "form": form,
        "fields": [form[name] for name in form.fields],
    }
    return render(request, "environments/take_over.html", context, status=422 if form.errors else 200)
