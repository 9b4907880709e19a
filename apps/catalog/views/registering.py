"""Registering a module: from Git, from an archive, or from this installation's own folder."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.requests import SignedIn
from apps.catalog.forms import GitForm, UploadForm, show_error
from apps.catalog.models import ModuleVersion
from apps.catalog.permissions import CatalogPermission, can
from apps.catalog.services import (
    module_register_repository,
    module_register_upload,
    retrieval_request,
    source_create,
)
from apps.catalog.services.registering import MODULES
from apps.core.exceptions import UserError
from apps.core.rates import rate_check

WAYS = (("git", "Git repository"), ("upload", "Upload"), ("repository", "This installation"))
ADDRESSES = {"git": "catalog:register", "upload": "catalog:register_upload", "repository": "catalog:register_own"}


def for_platform_engineers(request: SignedIn) -> None:
    """To everybody else these pages do not exist."""
    if not can(request.user, CatalogPermission.REGISTER):
        raise Http404


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def register(request: SignedIn) -> HttpResponse:
    """From Git: the source is kept, and an agent retrieves from it."""
    for_platform_engineers(request)
    form = GitForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            source = source_create(actor=request.user, **form.source_fields())
            retrieval_request(source=source, actor=request.user)
        except UserError as error:
            show_error(form, error)
        else:
            return redirect("catalog:source", pk=source.pk)
    return _page(request, "git", {"form": form, "submit": "Retrieve module"}, 422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def upload(request: SignedIn) -> HttpResponse:
    for_platform_engineers(request)
    form = UploadForm(request.POST or None, request.FILES or None)
    if request.method == "POST":
        rate_check(scope="uploads", user_id=request.user.pk, default="60/h")
        if form.is_valid():
            archive = form.cleaned_data["archive"]
            try:
                version, is_new = module_register_upload(
                    actor=request.user,
                    slug=form.cleaned_data["slug"],
                    archive=archive.file,
                    name=archive.name,
                    subfolder=form.cleaned_data["subfolder"],
                    manifest=form.manifest(),
                )
            except UserError as error:
                show_error(form, error)
            else:
                return _registered(request, version, is_new)
    return _page(request, "upload", {"form": form, "submit": "Register module"}, 422 if form.errors else 200)


@login_required
@require_safe
def own(request: SignedIn) -> HttpResponse:
    """What lies in terraform/modules of this installation."""
    for_platform_engineers(request)
    return _page(request, "repository", {"folders": _folders(request)})


@login_required
@require_POST
def own_register(request: SignedIn) -> HttpResponse:
    for_platform_engineers(request)
    try:
        version, is_new = module_register_repository(slug=request.POST.get("slug", "")[:100], actor=request.user)
    except UserError as error:
        return _page(request, "repository", {"folders": _folders(request), "refused": error}, error.status)
    return _registered(request, version, is_new)


def _folders(request: SignedIn) -> list[dict[str, Any]]:
    names = sorted(path.name for path in MODULES.glob("*/") if any(path.glob("*.tf")))[:200]
    rows = ModuleVersion.objects.visible_to(request.user).filter(module__slug__in=names).order_by("created_at")
    newest = dict(rows.values_list("module__slug", "version"))
    url = reverse("catalog:register_own_folder")
    return [
        {
            "name": name,
            "version": newest.get(name, ""),
            "action": {
                "label": "Register version",
                "url": url,
                "method": "post",
                "hidden": {"slug": name},
                "small": True,
            },
        }
        for name in names
    ]


def _registered(request: SignedIn, version: ModuleVersion, is_new: bool) -> HttpResponse:
    words = "is registered as a draft. Its checks run now." if is_new else "was registered with this content already."
    messages.success(request, f"{version} {words}")
    return redirect("catalog:version", slug=version.module.slug, version=version.version)


def _page(request: SignedIn, way: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    shown = {
        "way": way,
        "tabs": [{"label": label, "url": reverse(ADDRESSES[name]), "active": name == way} for name, label in WAYS],
        "crumbs": [{"label": "Modules", "url": reverse("catalog:list")}],
        "cancel_url": reverse("catalog:list"),
        **context,
    }
    return render(request, "catalog/register.html", shown, status=status)
