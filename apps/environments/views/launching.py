"""Choosing a module and launching it."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import Team, User
from apps.catalog.interface import ModuleInterface
from apps.catalog.models import Module, ModuleVersion
from apps.catalog.registry import needs_of
from apps.core.exceptions import Conflict, InvalidInput
from apps.core.rates import rate_check
from apps.environments.credentials import lacking_notice, lacking_sentence
from apps.environments.forms import LaunchDetailsForm, inputs_form, preset_follow, show_errors
from apps.environments.models import Environment
from apps.environments.runtime_choice import runtime_choices, runtime_default
from apps.environments.selectors import ttl_limits
from apps.environments.services import environment_launch, name_suggest
from apps.environments.takeover import may_take_over
from apps.environments.takeover_forms import TakeOverForm
from apps.environments.views.settings import presets_shown
from apps.policies.offer import Offer
from apps.policies.selectors import offer_for
from apps.provisioning.selectors import usual_duration
from apps.variable_sets.selectors import credentials_lacking, sets_for_launch


@login_required
@require_safe
def launch(request: HttpRequest) -> HttpResponse:
    """What can be launched. With a single module there is nothing to choose: straight to its form."""
    user: User = request.user  # type: ignore[assignment]
    modules = list(Module.objects.visible_to(user).launchable().select_related("latest_version"))
    if len(modules) == 1:
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        return redirect(reverse("environments:launch_module", args=[modules[0].slug]) + query)
    needs = needs_of(user, modules)
    cards = [
        {
            "module": module,
            "url": reverse("environments:launch_module", args=[module.slug]),
            "needs": needs.get(module.pk, ""),
        }
        for module in modules
    ]
    return render(request, "environments/launch.html", {"cards": cards})


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def launch_module(request: HttpRequest, module: str) -> HttpResponse:
    user: User = request.user  # type: ignore[assignment]
    entry = get_object_or_404(Module.objects.visible_to(user).launchable(), slug=module)
    version = ModuleVersion.objects.select_related("module").get(pk=entry.latest_version_id)
    if not Team.objects.of(user).exists():
        return render(request, "environments/launch_no_team.html", {"module": entry}, status=200)
    if request.method == "POST":
        return _submit(request, user, version)
    linked = _linked_details(request, user, version)
    offer = offer_for(version=version, team=_team(user, linked.get("team", "")))
    interface = offer.interface
    preset = request.GET.get("preset", "")
    size = interface.preset(preset) or interface.preset()
    runtimes = runtime_choices(interface)
    if runtimes:
        linked["runtime"] = _runtime(request.GET.get("runtime"), interface, runtimes)
    details = LaunchDetailsForm(user=user, limits=ttl_limits(version), runtimes=runtimes, initial=linked)
    if interface.lost_on_stop:
        details.fields["ttl"].help_text = f"{interface.lost_on_stop} You can extend it at any time."
    inputs = inputs_form(offer, preset=size.name if size else None, initial=_linked_inputs(request, interface))
    # A link that goes against the platform team's rules shows what they let be.
    inputs.initial = offer.obeyed(inputs.initial)
    found = _take_over(request, user, interface)
    return _page(request, version, offer, details, inputs, size.name if size else "", found)


def _submit(request: HttpRequest, user: User, version: ModuleVersion) -> HttpResponse:
    offer = offer_for(version=version, team=_team(user, request.POST.get("team", "")))
    interface = offer.interface
    data = preset_follow(request.POST, interface)
    details = LaunchDetailsForm(data, user=user, limits=ttl_limits(version), runtimes=runtime_choices(interface))
    inputs = inputs_form(offer, data, preset=_known(interface, data.get("preset", "")))
    found = _take_over(request, user, interface)
    # All are validated, so that every mistake is shown at once.
    if all([details.is_valid(), inputs.is_valid(), found is None or found.is_valid()]):
        rate_check(scope="launch", user_id=user.pk)
        asked = details.cleaned_data
        try:
            environment = environment_launch(
                actor=user,
                team=asked["team"],
                module_version=version,
                name=asked["name"],
                preset=data.get("preset", ""),
                inputs=inputs.values(),
                ttl_seconds=asked["ttl"],
                runtime=asked.get("runtime") if "runtime" in data else None,
                token=asked["token"],
                imports=found.imports() if found else (),
            )
        except (InvalidInput, Conflict) as error:
            rest = {name: told for name, told in error.errors.items() if not (found and name.startswith("imports"))}
            if found and len(rest) < len(error.errors):
                found.show(error)
            if rest or not error.errors:
                show_errors(type(error)(str(error), errors=rest), details, inputs)
        else:
            query = "?open" if data.get("open_when_ready") else ""
            return redirect(reverse("environments:detail", args=[environment.pk]) + query)
    return _page(request, version, offer, details, inputs, data.get("preset", ""), found, status=422)


def _take_over(request: HttpRequest, user: User, interface: ModuleInterface) -> TakeOverForm | None:
    """The fields of “Take over existing”, where they were asked for (`takeover`) by somebody who may."""
    posted = request.method == "POST"
    if "takeover" not in (request.POST if posted else request.GET) or not may_take_over(user, interface):
        return None
    return TakeOverForm(request.POST if posted else None, interface=interface, user=user)


def _team(user: User, slug: str) -> Team | None:
    """The team of a filled form; one that is not the person's is refused elsewhere."""
    return Team.objects.of(user).filter(slug=slug).first()


def _lacking(interface: ModuleInterface, teams: list[Team]) -> list[Team]:
    """The teams that nobody has given the module's credentials."""
    return credentials_lacking(interfaces=[interface], teams=teams).get(interface.slug, [])


def _runtime(linked: str | None, interface: ModuleInterface, choices: list[tuple[str, str]]) -> str:
    """What a link names, with or without a version; otherwise the module's default."""
    for value, _ in choices if linked else ():
        if value and linked in (value, value.partition("@")[0]):
            return value
    default = runtime_default(interface)
    return str(default) if default else ""


def _known(interface: ModuleInterface, name: str) -> str | None:
    return name if name in {preset.name for preset in interface.presets} else None


def _page(
    request: HttpRequest,
    version: ModuleVersion,
    offer: Offer,
    details: LaunchDetailsForm,
    inputs: Any,
    chosen: str,
    found: TakeOverForm | None = None,
    status: int = 200,
) -> HttpResponse:
    usual = usual_duration(module_version_id=version.pk, kind="create")
    interface = offer.interface
    user: User = request.user  # type: ignore[assignment]
    teams = list(Team.objects.of(user))
    lacking = _lacking(version.parsed(), teams)
    if lacking and len(lacking) < len(teams):
        details.fields["team"].help_text = lacking_sentence(interface, lacking)
    context = {
        "module": version.module,
        "version": version,
        "interface": interface,
        "details": details,
        "inputs": inputs,
        "presets": presets_shown(interface, chosen),
        "shown_preset": chosen,
        "fixed": offer.fixed_shown(),
        "builds": list(interface.resource_labels.values()),
        "usual": usual,
        "errors_count": len(details.errors) + len(inputs.errors) + (len(found.errors) if found else 0),
        "takeover": [found[name] for name in found.fields] if found else None,
        "may_take_over": may_take_over(user, version.parsed()),
        "top_errors": [*details.non_field_errors(), *inputs.non_field_errors()],
        "team_hidden": details.fields["team"].widget.is_hidden,
        "lacking": lacking_notice(interface, user, lacking) if lacking and len(lacking) == len(teams) else None,
        "variable_sets": sets_for_launch(
            user=user, target=version.module.target, module_slug=version.module.slug, teams=teams
        ),
    }
    return render(request, "environments/launch_module.html", context, status=status)


def _linked_details(request: HttpRequest, user: User, version: ModuleVersion) -> dict[str, Any]:
    """Name suggested, team last used; a link may name both and the time."""
    get = request.GET
    last = Environment.objects.owned_by(user).order_by("-created_at").values_list("team__slug", flat=True).first()
    teams = list(Team.objects.of(user))
    lacking = {team.slug for team in _lacking(version.parsed(), teams)}
    member_of = {team.slug for team in teams}
    able = member_of - lacking or member_of
    asked = get.get("team", "")
    team = asked if asked in member_of else last if last in able else None
    initial: dict[str, Any] = {"name": get.get("name", "")[:60] or name_suggest(user=user, module=version.module)}
    if team or member_of:
        initial["team"] = team or sorted(able)[0]
    if get.get("ttl", "").isdigit():
        initial["ttl"] = int(get["ttl"][:9])
    return initial


def _linked_inputs(request: HttpRequest, interface: ModuleInterface) -> dict[str, Any]:
    """Values of a link, by variable name or its shorthand `repo`; the form ignores those of sensitive variables."""
    linked = {
        variable.name: request.GET[variable.name] for variable in interface.inputs if variable.name in request.GET
    }
    if "repo" in request.GET:
        for variable in interface.inputs:
            if variable.presentation.widget == "repository":
                linked.setdefault(variable.name, request.GET["repo"])
    return linked
