"""Git sources: what was retrieved from them, retrieving again, changing them."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.requests import SignedIn
from apps.catalog.forms import GitForm, RetrieveForm, show_error
from apps.catalog.models import ModuleRetrieval, ModuleSource
from apps.catalog.permissions import CatalogPermission, can, require
from apps.catalog.selectors import sources_listed
from apps.catalog.services import retrieval_request, source_remove, source_update
from apps.catalog.words import retrieval_word
from apps.core.exceptions import UserError
from apps.core.paging import page_of

PAGE_SIZE = 50
RETRIEVALS_SHOWN = 10
FIELD_WORDS = {
    "url": "Git address",
    "credential": "Key or token",
    "reference": "Branch, tag or commit",
    "subfolder": "Folder",
    "version": "Version",
    "module": "The module's files",
}


def find(request: SignedIn, pk: UUID) -> ModuleSource:
    rows = ModuleSource.objects.visible_to(request.user).filter(kind=ModuleSource.Kind.GIT)
    return get_object_or_404(rows.select_related("created_by"), pk=pk)


@login_required
@require_safe
def sources(request: SignedIn) -> HttpResponse:
    if not request.user.sees_everything:
        raise Http404
    page = page_of(sources_listed(request.user), cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    register = {"label": "Register module", "url": reverse("catalog:register"), "icon": "plus"}
    context = {
        "rows": page.rows,
        "crumbs": [{"label": "Modules", "url": reverse("catalog:list")}],
        "register": register if can(request.user, CatalogPermission.REGISTER) else None,
        "next_url": f"?cursor={page.next}" if page.next else "",
        "previous_url": f"?cursor={page.previous}" if page.previous else "",
    }
    return render(request, "catalog/sources.html", context)


@login_required
@require_safe
def source(request: SignedIn, pk: UUID) -> HttpResponse:
    row = find(request, pk)
    return _page(request, row, RetrieveForm(source=row))


@login_required
@require_safe
def part(request: SignedIn, pk: UUID) -> HttpResponse:
    """The retrievals, fetched again while one goes on."""
    return render(request, "catalog/_retrievals.html", _retrievals(request, find(request, pk)))


@login_required
@require_POST
def retrieve(request: SignedIn, pk: UUID) -> HttpResponse:
    row = find(request, pk)
    require(request.user, CatalogPermission.REGISTER)
    form = RetrieveForm(request.POST, source=row)
    if form.is_valid():
        try:
            retrieval_request(source=row, actor=request.user, **form.cleaned_data)
        except UserError as error:
            show_error(form, error)
        else:
            return redirect("catalog:source", pk=row.pk)
    return _page(request, row, form, 422)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: SignedIn, pk: UUID) -> HttpResponse:
    row = find(request, pk)
    require(request.user, CatalogPermission.REGISTER)
    form = GitForm(request.POST or None, source=row)
    if request.method == "POST" and form.is_valid():
        try:
            source_update(source=row, actor=request.user, **form.source_fields())
        except UserError as error:
            show_error(form, error)
        else:
            messages.success(request, "The source is changed. Retrieve from it when you are ready.")
            return redirect("catalog:source", pk=row.pk)
    context = {
        "row": row,
        "form": form,
        "submit": "Save source",
        "crumbs": [*_crumbs(), {"label": row.slug, "url": reverse("catalog:source", args=[row.pk])}],
        "cancel_url": reverse("catalog:source", args=[row.pk]),
    }
    return render(request, "catalog/source_edit.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def remove(request: SignedIn, pk: UUID) -> HttpResponse:
    row = find(request, pk)
    source_remove(source=row, actor=request.user)
    messages.success(request, f"The source of {row.slug} is removed. Versions that came from it stay.")
    return redirect("catalog:sources")


def _crumbs() -> list[dict[str, str]]:
    return [
        {"label": "Modules", "url": reverse("catalog:list")},
        {"label": "Sources", "url": reverse("catalog:sources")},
    ]


def _page(request: SignedIn, row: ModuleSource, form: RetrieveForm, status: int = 200) -> HttpResponse:
    may = can(request.user, CatalogPermission.REGISTER)
    edit_url, remove_url = (reverse(f"catalog:source_{name}", args=[row.pk]) for name in ("edit", "remove"))
    context = {
        "row": row,
        "crumbs": _crumbs(),
        "form": form if may else None,
        "facts": _facts(row),
        "actions": [{"label": "Change source", "url": edit_url, "icon": "pencil"}] if may else [],
        "menu": [{"label": "Remove source", "url": remove_url, "method": "post", "icon": "trash", "style": "danger"}]
        if may
        else [],
        **_retrievals(request, row),
    }
    return render(request, "catalog/source.html", context, status=status)


def _facts(row: ModuleSource) -> list[dict[str, Any]]:
    given = "Given, never shown" if row.credential_kind else "None"
    kind = {"deploy_key": "Deploy key", "token": "Access token"}.get(row.credential_kind, "Credential")
    return [
        {"label": "Git address", "value": row.url},
        {"label": "Branch, tag or commit", "value": row.reference or "Default branch"},
        {"label": "Folder", "value": row.subfolder or "The whole repository"},
        {"label": kind, "value": given},
        {"label": "Added by", "value": row.created_by.display_name if row.created_by else None},
    ]


def _retrievals(request: SignedIn, row: ModuleSource) -> dict[str, Any]:
    rows = ModuleRetrieval.objects.visible_to(request.user).filter(source=row)
    rows = rows.select_related("requested_by", "version__module").defer(
        "version__archive", "version__interface", "version__readme", "version__changelog"
    )
    found = list(rows[:RETRIEVALS_SHOWN])
    newest = found[0] if found else None
    return {
        "row": row,
        "follows": {
            "topic": f"retrieval:{newest.pk}" if newest else "",
            "url": reverse("catalog:source_part", args=[row.pk]),
        },
        "newest": newest,
        "newest_word": retrieval_word(newest) if newest else None,
        "problem_title": FIELD_WORDS.get(newest.problem_field, "It could not be retrieved") if newest else "",
        "retrievals": [{"row": item, "word": retrieval_word(item)} for item in found],
    }
