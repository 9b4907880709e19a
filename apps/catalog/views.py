"""The catalog: what can be launched, and what each module is."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.catalog.models import Module, ModuleVersion
from apps.catalog.readme import readme_html

VERSIONS_SHOWN = 50


@login_required
@require_safe
def modules(request: HttpRequest) -> HttpResponse:
    rows = Module.objects.visible_to(request.user).select_related("latest_version")  # type: ignore[arg-type]
    rows = rows.defer("latest_version__archive", "latest_version__interface", "latest_version__readme")
    return render(request, "catalog/list.html", {"modules": rows})


@login_required
@require_safe
def module(request: HttpRequest, slug: str) -> HttpResponse:
    """Readme, inputs and versions of one module."""
    entry = get_object_or_404(Module.objects.visible_to(request.user), slug=slug)  # type: ignore[arg-type]
    versions = list(
        ModuleVersion.objects.visible_to(request.user)  # type: ignore[arg-type]
        .filter(module=entry)
        .defer("archive", "interface", "readme")[:VERSIONS_SHOWN]
    )
    latest = ModuleVersion.objects.filter(pk=entry.latest_version_id).defer("archive").first()
    launch_url = reverse("environments:launch_module", args=[slug])
    context = {
        "module": entry,
        "crumbs": [{"label": "Modules", "url": reverse("catalog:list")}],
        "meta": [{"text": entry.get_kind_display()}, {"text": f"runs on {entry.target}"}],
        "launch": {"label": f"Launch {entry.title.lower()}", "url": launch_url, "icon": "rocket"} if latest else None,
        "readme": readme_html(latest.readme) if latest else "",
        "inputs": latest.parsed().inputs if latest else (),
        "versions": versions,
    }
    return render(request, "catalog/module.html", context)
