"""Moving an environment to another version of its module: what is new, what goes, what is asked; then its plan."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.catalog.launch_form import LaunchForm, launch_form_class
from apps.catalog.models import ModuleVersion
from apps.catalog.readme import readme_html
from apps.core.exceptions import Conflict, InvalidInput
from apps.environments.forms import INPUT_PREFIX, show_errors
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, require
from apps.environments.selectors import difference_sentences, versions_between, versions_offered
from apps.environments.services.upgrading import Upgrade, environment_upgrade, upgrade_look
from apps.environments.views.actions import action_link
from apps.environments.views.finding import find


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def upgrade(request: HttpRequest, pk: UUID) -> HttpResponse:
    """GET shows what `?version=` (the latest unless told) means for it; POST plans it."""
    environment = find(request, pk)
    require(request.user, EnvironmentPermission.UPGRADE, environment)  # type: ignore[arg-type]
    asked = (request.POST if request.method == "POST" else request.GET).get("version", "")[:40]
    target = _target(request.user, environment, asked)
    try:
        looked = upgrade_look(environment=environment, target=target) if target else None
    except InvalidInput as error:
        messages.warning(request, "; ".join(error.errors.get("version", [str(error)])))
        looked = None
    if looked is None or looked.target.pk == environment.module_version_id:
        return _nowhere(request, environment, asked)
    data = request.POST if request.method == "POST" else None
    form = upgrade_form(looked, data)
    if data is None:
        return _page(request, looked, form)
    if form.is_valid():
        values = form.values()
        try:
            environment_upgrade(
                environment=environment,
                actor=request.user,  # type: ignore[arg-type]
                module_version=looked.target,
                inputs={name: values[name] for name in form.fields if name in values},
            )
        except InvalidInput as error:
            show_errors(error, None, form)
        except Conflict as error:
            messages.warning(request, str(error))
            return redirect("environments:detail", pk=pk)
        else:
            return redirect("environments:detail", pk=pk)
    return _page(request, looked, form, status=422)


def upgrade_form(looked: Upgrade, data: Any = None) -> LaunchForm:
    """One field for every input that is asked for; what is known and right has none."""
    form_class = launch_form_class(looked.offer.interface, fixed=looked.decided, kept=looked.offer.given)
    asked = {variable.name for variable in looked.asked}
    form_class.base_fields = {name: field for name, field in form_class.base_fields.items() if name in asked}
    return form_class(data, prefix=INPUT_PREFIX, initial=looked.known)


def _target(user: User, environment: Environment, asked: str) -> ModuleVersion | None:
    rows = ModuleVersion.objects.visible_to(user).filter(module=environment.module_id).defer("archive")
    return rows.filter(version=asked).first() if asked else rows.filter(pk=environment.module.latest_version_id).first()


def _nowhere(request: HttpRequest, environment: Environment, asked: str) -> HttpResponse:
    """There is no such version, or it has it already: what there is to choose from."""
    others = [v for v in versions_offered(environment) if v.pk != environment.module_version_id]
    context = {**_frame(environment), "versions": others, "asked": asked}
    unknown = bool(asked) and asked != environment.module_version.version
    return render(request, "environments/upgrade_none.html", context, status=404 if unknown else 200)


def _frame(environment: Environment) -> dict[str, Any]:
    crumbs = [
        {"label": "Environments", "url": reverse("environments:list")},
        {"label": environment.name, "url": reverse("environments:detail", args=[environment.pk])},
    ]
    return {"environment": environment, "crumbs": crumbs, "present": environment.module_version}


def _page(request: HttpRequest, looked: Upgrade, form: LaunchForm, status: int = 200) -> HttpResponse:
    environment, target = looked.environment, looked.target
    verb = "Go back to" if looked.is_backward else "Upgrade to"
    versions = [v for v in versions_offered(environment) if v.pk != environment.module_version_id]
    wanted = {variable.name for variable in looked.wanted}
    fields = [form[name] for name in form.fields]
    context = {
        **_frame(environment),
        "target": target,
        "verb": verb,
        "looked": looked,
        "cures": [action_link("settings", environment, "Change settings", "adjustments")],
        "form": form,
        "wanted_fields": [field for field in fields if field.name in wanted],
        "new_fields": [field for field in fields if field.name not in wanted],
        "new_open": any(field.errors for field in fields if field.name not in wanted),
        "reasons": {name: found for name, found in looked.problems.items() if name in looked.known},
        "versions": versions,
        "differences": difference_sentences(environment.module_version, target),
        "news": [
            {"version": version.version, "html": readme_html(version.changelog)}
            for version in versions_between(environment.module_version, target)
            if version.changelog
        ],
    }
    return render(request, "environments/upgrade.html", context, status=status)
