"""Writing policies, and trying what is written on plans of the past before it counts."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from apps.accounts.requests import SignedIn
from apps.core.exceptions import UserError
from apps.core.rates import TooManyRequests
from apps.policies.examples import EXAMPLES, example
from apps.policies.forms import PolicyForm, RulesForm, ScopeForm, scope_key, show_error
from apps.policies.models import Policy
from apps.policies.permissions import PolicyPermission, require
from apps.policies.services import Scope, policy_change, policy_create, policy_version_write
from apps.policies.trial import Trial, policy_try
from apps.policies.views.finding import crumbs, find

START = """package slipway

deny contains {
	"rule": "name-of-the-rule",
	"msg": sprintf("%s is not allowed.", [change.address]),
	"cure": "Say what to do instead.",
	"address": change.address,
} if {
	some change in input.plan.resource_changes
	change.type == "a_type_of_resource"
}
"""


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def policy_new(request: SignedIn) -> HttpResponse:
    """A new policy, begun from an example where one is named."""
    require(request.user, PolicyPermission.WRITE)
    begun = example(request.GET.get("example", ""))
    initial = {"title": begun.title, "slug": begun.slug, "rego": begun.rego} if begun else {"rego": START}
    form = PolicyForm(request.POST or None, initial=initial)
    trial, wait = None, 0
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            if request.POST.get("do") == "test":
                trial = policy_try(actor=request.user, rego=_text(asked["rego"]), scope=form.scope_chosen())
            else:
                row = policy_create(
                    actor=request.user,
                    slug=asked["slug"],
                    title=asked["title"],
                    rego=asked["rego"],
                    scope=form.scope_chosen(),
                    note=asked["note"],
                )
                messages.success(request, f"{row.title} is stored and off. Switch it on when its test is right.")
                return redirect("policies:policy", slug=row.slug)
        except TooManyRequests as error:
            wait = error.retry_after
        except UserError as error:
            show_error(form, error)
    context = {"heading": "Write policy", "crumbs": crumbs(), "examples": EXAMPLES, "submit": "Store policy"}
    return _editor(request, form, trial, context, wait)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def policy_edit(request: SignedIn, slug: str) -> HttpResponse:
    """The next version of a policy."""
    row = find(request.user, slug)
    require(request.user, PolicyPermission.WRITE)
    present = row.current_version
    form = RulesForm(
        request.POST or None,
        initial={"rego": present.rego if present else "", "expected": present.number if present else 0},
    )
    trial, wait = None, 0
    if request.method == "POST" and form.is_valid():
        try:
            if request.POST.get("do") == "test":
                trial = policy_try(
                    actor=request.user,
                    rego=_text(form.cleaned_data["rego"]),
                    scope=_scope(row),
                    in_force=present.rego if present and row.enabled else "",
                )
            else:
                version = policy_version_write(actor=request.user, policy=row, **form.cleaned_data)
                counts = "is in force" if row.enabled else "is stored; the policy is off"
                messages.success(request, f"Version {version.number} {counts}.")
                return redirect("policies:policy", slug=slug)
        except TooManyRequests as error:
            wait = error.retry_after
        except UserError as error:
            show_error(form, error)
    submit = "Put into force" if row.enabled else "Store version"
    context = {"heading": f"Edit {row.title}", "crumbs": crumbs(row), "policy": row, "submit": submit}
    return _editor(request, form, trial, context, wait)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def policy_settings(request: SignedIn, slug: str) -> HttpResponse:
    """Title and scope."""
    row = find(request.user, slug)
    require(request.user, PolicyPermission.WRITE)
    form = ScopeForm(request.POST or None, initial={"title": row.title, "scope": scope_key(row)})
    if request.method == "POST" and form.is_valid():
        try:
            policy_change(actor=request.user, policy=row, title=form.cleaned_data["title"], scope=form.scope_chosen())
        except UserError as error:
            show_error(form, error)
        else:
            return redirect("policies:policy", slug=slug)
    context = {"form": form, "policy": row, "crumbs": crumbs(row)}
    return render(request, "policies/settings.html", context, status=422 if request.method == "POST" else 200)


def _editor(
    request: SignedIn, form: forms.Form, trial: Trial | None, context: dict[str, Any], wait: int
) -> HttpResponse:
    """`wait` are the seconds until rules may be tried again, where they were tried too often: what was typed stays."""
    context |= {"form": form, "trial": trial}
    if wait:
        form.add_error(None, f"You have tried rules very often in a short time. Try again in {wait} s.")
    status = 422 if request.method == "POST" and trial is None else 200
    response = render(request, "policies/edit.html", context, status=429 if wait else status)
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def _text(rego: str) -> str:
    return rego.replace("\r\n", "\n")


def _scope(row: Policy) -> Scope:
    return Scope(team=row.team, module=row.module, target=row.target)
