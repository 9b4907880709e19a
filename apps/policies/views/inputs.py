"""Input policies: which modules have one, and the table of one module's variables for everybody or for a team."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import Team
from apps.accounts.requests import SignedIn
from apps.catalog.interface import ModuleInterface
from apps.catalog.models import Module, ModuleVersion
from apps.core.exceptions import UserError
from apps.policies.input_form import Row, rows_of, rows_sent, rule_words, rules_read
from apps.policies.models import InputPolicy
from apps.policies.permissions import PolicyPermission, require
from apps.policies.rules import Rules, rule_problems
from apps.policies.services import input_policy_set
from apps.policies.views.finding import may_write, tabs


@login_required
@require_safe
def input_policies(request: SignedIn) -> HttpResponse:
    """Every module, and for whom something is set."""
    require(request.user, PolicyPermission.VIEW)
    found: dict[Any, list[InputPolicy]] = {}
    for row in InputPolicy.objects.visible_to(request.user).select_related("team"):
        found.setdefault(row.module_id, []).append(row)
    modules = Module.objects.visible_to(request.user).order_by("title")
    rows = [{"module": module, "policies": found.get(module.pk, [])} for module in modules]
    return render(request, "policies/inputs.html", {"rows": rows, "tabs": tabs("input_policies")})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def input_policy(request: SignedIn, module: str) -> HttpResponse:
    """The rules for everybody, or with `?team=` those of a team."""
    require(request.user, PolicyPermission.WRITE if request.method == "POST" else PolicyPermission.VIEW)
    entry = get_object_or_404(Module.objects.visible_to(request.user), slug=module)
    versions = ModuleVersion.objects.visible_to(request.user).filter(pk=entry.latest_version_id)
    version = versions.only("interface", "version").first()
    if version is None:
        raise Http404
    interface: ModuleInterface = version.parsed()
    team = _team(request)
    policies = InputPolicy.objects.visible_to(request.user).filter(module=entry).select_related("team", "updated_by")
    own = next((row for row in policies if row.team == team), None)
    rules: Rules = own.rules if own else {}
    everybody: Rules = next((row.rules for row in policies if row.team is None), {}) if team else {}
    rows = rows_of(interface, rules, everybody)
    top: list[str] | None = []
    if request.method == "POST":
        rows = rows_sent(interface, request.POST, everybody)
        top = _save(request, entry, team, rows, _stale(interface, rules))
        if top is None:
            messages.success(request, "Stored. It holds for launches from now on, and for others at their next change.")
            return redirect(_address(entry, team))
    context = {
        "module": entry,
        "team": team,
        "teams": _teams(request, entry, team, list(policies)),
        "rows": rows,
        "stale": _stale(interface, rules),
        "policy": own,
        "may_write": may_write(request.user),
        "top_errors": top,
        "errors": sum(bool(row.errors) for row in rows) or len(top or []),
        "crumbs": [
            {"label": "Policies", "url": reverse("policies:list")},
            {"label": "Inputs of modules", "url": reverse("policies:input_policies")},
        ],
    }
    return render(request, "policies/input_policy.html", context, status=422 if request.method == "POST" else 200)


def _team(request: SignedIn) -> Team | None:
    slug = request.GET.get("team", "")
    return get_object_or_404(Team.objects.visible_to(request.user), slug=slug) if slug else None


def _address(module: Module, team: Team | None) -> str:
    return reverse("policies:input_policy", args=[module.slug]) + (f"?team={team.slug}" if team else "")


def _teams(request: SignedIn, module: Module, team: Team | None, policies: list[InputPolicy]) -> list[dict[str, Any]]:
    """Everybody and each team, as choices of whom the table is for."""
    has = {row.team_id for row in policies}
    listed = [None, *Team.objects.visible_to(request.user).order_by("name")]
    return [
        {
            "label": (one.name if one else "Everybody") + (" (set)" if (one.pk if one else None) in has else ""),
            "value": one.slug if one else "",
            "selected": one == team,
        }
        for one in listed
    ]


def _stale(interface: ModuleInterface, rules: Rules) -> list[dict[str, Any]]:
    """Rules that the newest version cannot keep: they are left out at a launch."""
    found = []
    for name, rule in rules.items():
        if problems := rule_problems(interface, name, rule):
            found.append({"name": name, "words": rule_words(rule), "problem": problems[0], "rule": rule})
    return found


def _save(
    request: SignedIn, module: Module, team: Team | None, rows: list[Row], stale: list[dict[str, Any]]
) -> list[str] | None:
    """None where it is stored; else what goes above the table, the rest being written into the rows."""
    rules = rules_read(rows)
    if any(row.errors for row in rows):
        return []
    shown = {row.name for row in rows}
    kept = {one["name"]: one["rule"] for one in stale if one["name"] not in shown}
    rules |= {name: rule for name, rule in kept.items() if not request.POST.get(f"remove-{name}")}
    try:
        input_policy_set(actor=request.user, module=module, team=team, rules=rules)
    except UserError as error:
        by_name = {row.name: row for row in rows}
        top = [] if error.errors else [str(error)]
        for name, told in error.errors.items():
            row = by_name.get(name.removeprefix("rules."))
            if row is None:
                top += told
            else:
                row.errors = told
        return top
    return None
