"""Variable sets: the list, one set with its variables, setting a value, and which value counts for whom."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.requests import SignedIn
from apps.core.exceptions import UserError
from apps.core.paging import page_of
from apps.variable_sets.forms import ScopeForm, VariableForm, VariableSetForm, show_error
from apps.variable_sets.models import VariableSet
from apps.variable_sets.permissions import may_add, may_write, require_write
from apps.variable_sets.presenting import usage_rows, variable_rows
from apps.variable_sets.selectors import sets_listed, variables_counted
from apps.variable_sets.services import (
    variable_delete,
    variable_set_create,
    variable_set_delete,
    variable_set_update,
    variable_set_value,
)

PAGE_SIZE = 50


@login_required
@require_safe
def sets(request: SignedIn) -> HttpResponse:
    """Everybody's sets and those of one's teams, by name."""
    page = page_of(sets_listed(request.user), cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    context = {
        "sets": page.rows,
        "may_add": may_add(request.user),
        "next_url": _link(request, page.next),
        "previous_url": _link(request, page.previous),
    }
    return render(request, "variable_sets/list.html", context)


@login_required
@require_safe
def counting(request: SignedIn) -> HttpResponse:
    """Which value counts for a team, a target and a module."""
    form = ScopeForm(request.GET, user=request.user)
    asked = form.cleaned_data if form.is_valid() else {}
    module = asked.get("module")
    target = asked.get("target", "") or (module.target if module else "")
    counted = variables_counted(team=asked.get("team"), target=target, module_slug=module.slug if module else "")
    shown = variable_rows([item.variable for item in counted], request.user)
    rows = [{"item": item, **row} for item, row in zip(counted, shown, strict=True)]
    context = {"form": form, "rows": rows, "crumbs": _crumbs(), "target": target}
    return render(request, "variable_sets/counting.html", context)


@login_required
@require_safe
def detail(request: SignedIn, pk: UUID) -> HttpResponse:
    row = _find(request, pk)
    variables = list(row.variables.select_related("set", "updated_by"))
    changeable = may_write(request.user, row)
    shown_usage = changeable or request.user.sees_everything
    context = {
        "set": row,
        "crumbs": _crumbs(),
        "meta": _scope(row),
        "variables": variable_rows(variables, request.user),
        "changeable": changeable,
        "usage": usage_rows(row, variables, request.user) if shown_usage else None,
    }
    return render(request, "variable_sets/detail.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: SignedIn) -> HttpResponse:
    if not may_add(request.user):
        raise PermissionDenied
    linked = {name: request.GET[name] for name in ("team", "target", "module") if name in request.GET}
    form = VariableSetForm(request.POST or None, user=request.user, initial=linked)
    if request.method == "POST" and form.is_valid():
        try:
            row = variable_set_create(actor=request.user, **form.cleaned_data)
        except UserError as error:
            if not error.errors:
                raise
            show_error(form, error)
        else:
            return redirect("variable_sets:detail", pk=row.pk)
    return _form_page(request, form, heading="Add variable set", submit="Add variable set", crumbs=_crumbs())


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SignedIn, pk: UUID) -> HttpResponse:
    row = _find(request, pk)
    require_write(request.user, row)
    initial = {
        "name": row.name,
        "description": row.description,
        "target": row.target,
        "module": row.module.slug if row.module else "",
    }
    form = VariableSetForm(request.POST or None, user=request.user, existing=row, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            variable_set_update(variable_set=row, actor=request.user, **form.cleaned_data)
        except UserError as error:
            if not error.errors:
                raise
            show_error(form, error)
        else:
            return redirect("variable_sets:detail", pk=row.pk)
    return _form_page(request, form, heading=f"Change {row.name}", submit="Save changes", crumbs=_crumbs(row))


@login_required
@require_POST
def delete(request: SignedIn, pk: UUID) -> HttpResponse:
    row = _find(request, pk)
    variable_set_delete(variable_set=row, actor=request.user)
    messages.success(request, f"{row.name} is deleted. What runs goes on; the next change does without it.")
    return redirect("variable_sets:list")


@sensitive_post_parameters("value")
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def variable_new(request: SignedIn, pk: UUID) -> HttpResponse:
    row = _find(request, pk)
    require_write(request.user, row)
    form = VariableForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid() and (answer := _value_set(request, row, form, {})):
        return answer
    return _form_page(
        request, form, heading="Add variable", submit="Set variable", crumbs=_crumbs(row),
        cancel=reverse("variable_sets:detail", args=[row.pk]),
    )  # fmt: skip


@sensitive_post_parameters("value")
@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def variable_edit(request: SignedIn, pk: UUID, variable_id: UUID) -> HttpResponse:
    row = _find(request, pk)
    require_write(request.user, row)
    variable = get_object_or_404(row.variables, pk=variable_id)
    initial = {"sensitive": variable.sensitive, "environment_variable": variable.environment_variable}
    form = VariableForm(request.POST or None, user=request.user, existing=variable, initial=initial)
    known = {"name": variable.name, "kind": variable.kind}
    if request.method == "POST" and form.is_valid() and (answer := _value_set(request, row, form, known)):
        return answer
    return _form_page(
        request, form, heading=f"Set {variable.name}", submit="Set value", crumbs=_crumbs(row),
        cancel=reverse("variable_sets:detail", args=[row.pk]),
    )  # fmt: skip


@login_required
@require_POST
def variable_remove(request: SignedIn, pk: UUID, variable_id: UUID) -> HttpResponse:
    row = _find(request, pk)
    require_write(request.user, row)
    variable = get_object_or_404(row.variables.select_related("set"), pk=variable_id)
    variable_delete(variable=variable, actor=request.user)
    messages.success(request, f"{variable.name} is deleted. What runs goes on; the next change does without it.")
    return redirect("variable_sets:detail", pk=row.pk)


def _value_set(request: SignedIn, row: VariableSet, form: VariableForm, known: dict[str, str]) -> HttpResponse | None:
    """None where the service refused it; the form then says why."""
    try:
        variable = variable_set_value(variable_set=row, actor=request.user, **{**form.cleaned_data, **known})
    except UserError as error:
        if not error.errors:
            raise
        show_error(form, error)
        return None
    messages.success(request, f"{variable.name} is set. Changes that begin from now on use it.")
    return redirect("variable_sets:detail", pk=row.pk)


def _find(request: SignedIn, pk: UUID) -> VariableSet:
    rows = VariableSet.objects.visible_to(request.user).select_related("team", "module", "created_by")
    found: VariableSet = get_object_or_404(rows, pk=pk)
    return found


def _form_page(
    request: SignedIn, form: Any, *, heading: str, submit: str, crumbs: list[dict[str, str]], cancel: str = ""
) -> HttpResponse:
    context = {
        "form": form,
        "heading": heading,
        "submit": submit,
        "crumbs": crumbs,
        "cancel_url": cancel or crumbs[-1]["url"],
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "variable_sets/form.html", context, status=status)


def _crumbs(row: VariableSet | None = None) -> list[dict[str, str]]:
    crumbs = [{"label": "Variable sets", "url": reverse("variable_sets:list")}]
    if row is not None:
        crumbs.append({"label": row.name, "url": reverse("variable_sets:detail", args=[row.pk])})
    return crumbs


def _scope(row: VariableSet) -> list[dict[str, str]]:
    return [
        {"text": f"for {row.team.name}" if row.team else "for everybody"},
        {"text": f"on {row.target}" if row.target else "on any target"},
        {"text": f"with {row.module.title}" if row.module else "with any module"},
    ]


def _link(request: SignedIn, cursor: str | None) -> str:
    if cursor is None:
        return ""
    params = request.GET.copy()
    params["cursor"] = cursor
    return f"?{params.urlencode()}"
