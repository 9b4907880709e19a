from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.core.exceptions import Conflict, InvalidInput, UserError
from apps.runtimes.forms import DescriptionForm, ReasonForm, RequirementsForm, RuntimeForm, show_error
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.registry import counts_of
from apps.runtimes.services import (
    runtime_change,
    runtime_create,
    runtime_version_create,
    runtime_version_deprecate,
    runtime_version_restore,
    runtime_version_retry,
)
from apps.runtimes.views.finding import manager, runtime_find, say, version_find

WRITE = ["GET", "HEAD", "POST"]


@login_required
@require_http_methods(WRITE)
def new(request: HttpRequest) -> HttpResponse:
    user = manager(request)
    form = RuntimeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = runtime_create(actor=user, **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            show_error(error, form)
        else:
            return _to(made)
    context = {"form": form, "crumbs": [_all()], "heading": "New Python environment", "submit": "Lock and build"}
    return render(request, "runtimes/edit.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(WRITE)
def requirements(request: HttpRequest, slug: str) -> HttpResponse:
    """The next version, beginning with the requirements of the newest one."""
    runtime = runtime_find(request, slug)
    user = manager(request)
    newest = runtime.versions.order_by("-number").first()
    initial = {"requirements": newest.requirements if newest else ""}
    form = RequirementsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = runtime_version_create(
                runtime=runtime,
                actor=user,
                requirements=form.cleaned_data["requirements"],
                force="force" in request.POST,
            )
        except (InvalidInput, Conflict) as error:
            show_error(error, form)
        else:
            return _to(made)
    context = {
        "form": form,
        "crumbs": [_all(), _one(runtime)],
        "heading": "Edit requirements",
        "submit": "Lock and build",
        "runtime": runtime,
        "newest": newest,
        "may_force": newest is not None,
    }
    return render(request, "runtimes/edit.html", context, status=422 if form.errors else 200)


@login_required
@require_http_methods(WRITE)
def describe(request: HttpRequest, slug: str) -> HttpResponse:
    runtime = runtime_find(request, slug)
    user = manager(request)
    form = DescriptionForm(request.POST or None, initial={"title": runtime.title, "summary": runtime.summary})
    if request.method == "POST" and form.is_valid():
        try:
            runtime_change(runtime=runtime, actor=user, **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            show_error(error, form)
        else:
            return redirect("runtimes:runtime", slug=slug)
    context = {"form": form, "crumbs": [_all(), _one(runtime)], "heading": "Change title", "submit": "Save title"}
    return render(request, "runtimes/edit.html", {**context, "runtime": runtime}, status=422 if form.errors else 200)


@login_required
@require_http_methods(WRITE)
def deprecate(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    version = version_find(request, slug, number)
    user = manager(request)
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            runtime_version_deprecate(version=version, actor=user, reason=form.cleaned_data["reason"])
        except UserError as error:
            show_error(error, form)
        else:
            say(request, f"{version} is deprecated.")
            return _to(version)
    context = {
        "form": form,
        "crumbs": [_all(), _one(version.runtime)],
        "heading": f"Deprecate version {number}",
        "submit": f"Deprecate version {number}",
        "danger": True,
        "used": counts_of([version.pk]).get(version.pk, 0),
        "runtime": version.runtime,
        "deprecating": version,
    }
    return render(request, "runtimes/edit.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def retry(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    version = version_find(request, slug, number)
    return _to(runtime_version_retry(version=version, actor=manager(request)))


@login_required
@require_POST
def restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    version = version_find(request, slug, number)
    row = runtime_version_restore(version=version, actor=manager(request))
    say(request, f"{row} can be chosen again.")
    return _to(row)


def _to(version: RuntimeVersion) -> HttpResponse:
    return redirect("runtimes:version", slug=version.runtime.slug, number=version.number)


def _all() -> dict[str, str]:
    return {"label": "Python environments", "url": reverse("runtimes:list")}


def _one(runtime: Runtime) -> dict[str, str]:
    return {"label": runtime.title, "url": reverse("runtimes:runtime", args=[runtime.slug])}
