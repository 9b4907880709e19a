"""What a platform engineer does with a rollout by a button; each posts, asks a service, and leads back to its page."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.catalog.models import ModuleVersion
from apps.core.exceptions import Conflict, InvalidInput
from apps.environments.forms import show_errors
from apps.environments.models import Rollout, RolloutItem
from apps.environments.permissions import rollout_require
from apps.environments.rollout_forms import common_form
from apps.environments.runtime_choice import runtimes_once
from apps.environments.services.rollouts import rollout_continue, rollout_give, rollout_skip, rollout_stop
from apps.environments.services.rollouts.starting import Candidate, Verdict, inputs_common
from apps.environments.services.upgrading import upgrade_look
from apps.environments.views.rollouts import environment_of_item, find_rollout, typed_values

MOST_LOOKED_AT = 100


@login_required
@require_POST
def go_on(request: HttpRequest, pk: UUID) -> HttpResponse:
    row = find_rollout(request, pk)
    user: Any = request.user
    try:
        rollout_continue(rollout=row, actor=user)
    except Conflict as error:
        messages.warning(request, str(error))
    return redirect("environments:rollout", pk=pk)


@login_required
@require_POST
def stop(request: HttpRequest, pk: UUID) -> HttpResponse:
    row = find_rollout(request, pk)
    user: Any = request.user
    try:
        rollout_stop(rollout=row, actor=user)
    except Conflict as error:
        messages.warning(request, str(error))
    return redirect("environments:rollout", pk=pk)


@login_required
@require_POST
def skip(request: HttpRequest, pk: UUID, environment_id: UUID) -> HttpResponse:
    row = find_rollout(request, pk)
    user: Any = request.user
    environment = environment_of_item(row, environment_id)
    try:
        rollout_skip(rollout=row, environment_id=environment.pk, actor=user)
    except Conflict as error:
        messages.warning(request, str(error))
    return redirect("environments:rollout", pk=pk)


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def give(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Values that are used wherever an environment of the rollout asks for them."""
    row = find_rollout(request, pk)
    user: Any = request.user
    rollout_require(user)
    version = ModuleVersion.objects.select_related("module").defer("archive").get(pk=row.to_version_id)
    form = common_form(version, inputs_common(_needing(row, version)), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            rollout_give(rollout=row, inputs=typed_values(form), actor=user)
        except InvalidInput as error:
            show_errors(error, None, form)
        except Conflict as error:
            messages.warning(request, str(error))
            return redirect("environments:rollout", pk=pk)
        else:
            return redirect("environments:rollout", pk=pk)
    context = {"rollout": row, "form": form, "fields": [form[name] for name in form.fields]}
    status = 422 if request.method == "POST" else 200
    return render(request, "environments/rollout_give.html", context, status=status)


def _needing(row: Rollout, version: ModuleVersion) -> list[Candidate]:
    items = row.items.filter(state=RolloutItem.State.NEEDS_INPUT)
    items = items.select_related("environment__team", "environment__module_version")
    items = items.defer("environment__module_version__archive")
    items = items.prefetch_related(runtimes_once("environment__runtime_version"))
    found = []
    for item in items[:MOST_LOOKED_AT]:
        try:
            upgrade = upgrade_look(environment=item.environment, target=version)
        except InvalidInput:
            continue
        found.append(Candidate(item.environment, Verdict.NEEDS_INPUT, "", upgrade))
    return found
