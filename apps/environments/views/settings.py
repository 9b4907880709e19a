"""The settings of an environment: the inputs it was made with, and changing them."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from apps.catalog.interface import ModuleInterface
from apps.core.exceptions import InvalidInput
from apps.environments.forms import RuntimeForm, inputs_form, preset_follow, secrets_stored, show_errors
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, require
from apps.environments.runtime_choice import runtime_choices
from apps.environments.services import environment_update
from apps.environments.services.inputs import offer_existing
from apps.environments.views.finding import find
from apps.environments.views.presenting import EnvironmentPage


def presets_shown(interface: ModuleInterface, chosen: str) -> dict[str, Any]:
    """The sizes as cards; the values they stand for are said on them."""
    options = [
        {
            "value": preset.name,
            "title": preset.title,
            "lines": [f"{_label(interface, name)}: {value}" for name, value in preset.inputs.items()],
            "checked": preset.name == chosen,
            "data": {"data-preset": preset.name},
        }
        for preset in interface.presets
    ]
    return {"legend": "Size", "name": "preset", "options": options}


def _label(interface: ModuleInterface, name: str) -> str:
    variable = interface.variable(name)
    return variable.label if variable else name


def _runtime_form(row: Environment, interface: ModuleInterface, data: Any = None) -> RuntimeForm:
    choices = runtime_choices(interface, row.runtime_version)
    return RuntimeForm(data, runtimes=choices, initial={"runtime": str(row.runtime_version or "")})


def settings_context(
    page: EnvironmentPage, form: Any = None, chosen: str | None = None, runtime: RuntimeForm | None = None
) -> dict[str, Any]:
    """What is set, and a form for those who may change it now."""
    row = page.environment
    offer = offer_existing(row)
    interface = offer.interface
    chosen = row.preset if chosen is None else chosen
    shown = [
        {"label": variable.label, "value": row.inputs.get(variable.name, variable.default), "name": variable.name}
        for variable in interface.inputs
    ]
    context: dict[str, Any] = {"inputs": shown, "interface": interface}
    changeable = row.status in (Environment.Status.RUNNING, Environment.Status.STOPPED, Environment.Status.FAILED)
    if EnvironmentPermission.UPDATE in page.granted and changeable and not page.active:
        context["form"] = form or inputs_form(offer, initial=row.inputs, kept=secrets_stored(row, interface))
        context["presets"] = presets_shown(interface, chosen)
        context["shown_preset"] = chosen
        context["fixed"] = offer.fixed_shown()
        context["broken"] = offer.broken(row.inputs)
        context["runtime_form"] = runtime or _runtime_form(row, interface)
    return context


@sensitive_post_parameters()
@login_required
@require_POST
def update(request: HttpRequest, pk: UUID) -> HttpResponse:
    environment = find(request, pk)
    require(request.user, EnvironmentPermission.UPDATE, environment)  # type: ignore[arg-type]
    offer = offer_existing(environment)
    interface = offer.interface
    data = preset_follow(request.POST, interface)
    form = inputs_form(offer, data, initial=environment.inputs, kept=secrets_stored(environment, interface))
    runtime = _runtime_form(environment, interface, data)
    if all([form.is_valid(), runtime.is_valid()]):
        asked = runtime.cleaned_data.get("runtime") if "runtime" in data else None
        try:
            environment_update(environment=environment, actor=request.user, inputs=form.values(), runtime=asked)  # type: ignore[arg-type]
        except InvalidInput as error:
            show_errors(error, runtime, form)
        else:
            return redirect("environments:detail", pk=pk)
    page = EnvironmentPage(environment, request.user)  # type: ignore[arg-type]
    context = {
        "environment": environment,
        "page": page,
        "header": page.header(),
        "overview": page.overview(),
        "tabs": page.tabs("settings"),
        **settings_context(page, form, data.get("preset", ""), runtime),
    }
    return render(request, "environments/settings.html", context, status=422)
