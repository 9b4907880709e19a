"""The catalog: what can be launched, what each module is, and for whoever keeps it what is becoming of its versions."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from apps.accounts.requests import SignedIn
from apps.catalog.models import Module, ModuleVersion
from apps.catalog.permissions import CatalogPermission, can
from apps.catalog.readme import readme_html
from apps.catalog.registry import needs_of, usage_of
from apps.catalog.selectors import modules_kept, modules_listed, versions_listed
from apps.catalog.words import version_word
from apps.core.paging import page_of

PAGE_SIZE = 50
TABS = (("readme", "Readme"), ("inputs", "Inputs"), ("versions", "Versions"))


@login_required
@require_safe
def modules(request: SignedIn) -> HttpResponse:
    if not request.user.sees_everything:
        shown = list(modules_listed(request.user))
        needs = needs_of(request.user, shown)
        return render(request, "catalog/list.html", {"modules": [(row, needs.get(row.pk, "")) for row in shown]})
    page = page_of(modules_kept(request.user), cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    may_register = can(request.user, CatalogPermission.REGISTER)
    register = {"label": "Register module", "url": reverse("catalog:register"), "icon": "plus"}
    context = {
        "rows": page.rows,
        "next_url": f"?cursor={page.next}" if page.next else "",
        "previous_url": f"?cursor={page.previous}" if page.previous else "",
        "register": register if may_register else None,
        "actions": [{"label": "Sources", "url": reverse("catalog:sources"), "icon": "git-branch"}],
    }
    return render(request, "catalog/kept.html", context)


@login_required
@require_safe
def module(request: SignedIn, slug: str) -> HttpResponse:
    """Readme, inputs and versions of one module."""
    entry = get_object_or_404(Module.objects.visible_to(request.user), slug=slug)
    tab = request.GET.get("tab", "")
    tab = tab if tab in dict(TABS) else "readme"
    seen = ModuleVersion.objects.visible_to(request.user).filter(module=entry).defer("archive")
    latest = seen.filter(pk=entry.latest_version_id).first()
    shown = latest or seen.order_by("-created_at").first()
    launch_url = reverse("environments:launch_module", args=[slug])
    where_url = reverse("environments:versions", args=[slug])
    context: dict[str, Any] = {
        "module": entry,
        "tab": tab,
        "tabs": [{"label": label, "url": f"?tab={name}", "active": name == tab} for name, label in TABS],
        "crumbs": [{"label": "Modules", "url": reverse("catalog:list")}],
        "meta": [{"text": entry.get_kind_display()}, {"text": f"runs on {entry.target}"}],
        "actions": [
            {"label": "Where it runs", "url": where_url, "icon": "stack-2"},
            {
                "label": "Inputs people may set",
                "url": reverse("policies:input_policy", args=[slug]),
                "icon": "adjustments",
            },
        ]
        if request.user.sees_everything
        else [],
        "launch": {"label": f"Launch {entry.title.lower()}", "url": launch_url, "icon": "rocket"} if latest else None,
        "shown": shown,
        "readme": readme_html(shown.readme) if shown and tab == "readme" else "",
        "inputs": shown.parsed().inputs if shown and tab == "inputs" else (),
        **(_versions(request, entry) if tab == "versions" else {}),
    }
    return render(request, "catalog/module.html", context)


def _versions(request: SignedIn, entry: Module) -> dict[str, Any]:
    """Every version with its state; for whoever keeps the module also how many environments run it."""
    rows = versions_listed(request.user, entry)
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    keeps = request.user.sees_everything
    usage = usage_of(request.user, [row.pk for row in page.rows]) if keeps else {}
    return {
        "keeps": keeps,
        "versions": [
            {
                "row": row,
                "word": version_word(row),
                "url": reverse("catalog:version", args=[entry.slug, row.version]),
                "usage": usage.get(row.pk, 0),
                "usage_url": usage_url(row, entry),
                "is_latest": row.pk == entry.latest_version_id,
            }
            for row in page.rows
        ],
        "next_url": f"?tab=versions&cursor={page.next}" if page.next else "",
        "previous_url": f"?tab=versions&cursor={page.previous}" if page.previous else "",
    }


def usage_url(version: ModuleVersion, entry: Module) -> str:
    return f"{reverse('environments:list')}?scope=all&module={entry.slug}&version={version.version}"
