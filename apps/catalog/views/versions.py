"""One version of a module: its state, its checks, what changed, and the buttons that move it on."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.requests import SignedIn
from apps.catalog import services
from apps.catalog.models import Module, ModuleVersion, VersionCheck
from apps.catalog.permissions import CatalogPermission, can, require
from apps.catalog.readme import readme_html
from apps.catalog.registry import usage_of
from apps.catalog.selectors import version_difference
from apps.catalog.services.life import REASON_LENGTH, publish_obstacle
from apps.catalog.views.modules import usage_url
from apps.catalog.words import check_word, version_word
from apps.core.exceptions import UserError

S = ModuleVersion.Status
TABS = (("checks", "Checks"), ("changes", "Changes"), ("inputs", "Inputs"), ("readme", "Readme"))
DONE = {
    "publish": "is published: it can be launched now.",
    "deprecate": "is deprecated: no new launches. Owners of its environments are told.",
    "revoke": "is revoked: it cannot be launched or started. Owners of its environments are told.",
    "restore": "is published again.",
}


def find(request: SignedIn, slug: str, version: str) -> ModuleVersion:
    rows = ModuleVersion.objects.visible_to(request.user).defer("archive")
    rows = rows.select_related("module", "origin", "registered_by", "published_by")
    return get_object_or_404(rows, module__slug=slug, version=version[:40])


@login_required
@require_safe
def version(request: SignedIn, slug: str, version: str) -> HttpResponse:
    return _page(request, find(request, slug, version))


@login_required
@require_safe
def part(request: SignedIn, slug: str, version: str) -> HttpResponse:
    """State and checks, fetched again while they run."""
    row = find(request, slug, version)
    if not request.user.sees_everything:
        raise Http404
    return render(request, "catalog/_version_state.html", _state(request, row))


@login_required
@require_POST
def act(request: SignedIn, slug: str, version: str, verb: str) -> HttpResponse:
    """Publish, deprecate, revoke, bring back; what is refused is said on the page."""
    row = find(request, slug, version)
    require(request.user, CatalogPermission.PUBLISH)
    reason = request.POST.get("reason", "")
    try:
        if verb == "check":
            services.checks_repeat(version=row, actor=request.user)
            messages.success(request, "The checks run again.")
        elif verb == "publish":
            services.module_version_publish(version=row, actor=request.user)
        else:
            service = {
                "deprecate": services.module_version_deprecate,
                "revoke": services.module_version_revoke,
                "restore": services.module_version_restore,
            }[verb]
            service(version=row, actor=request.user, reason=reason)
    except UserError as error:
        return _page(request, find(request, slug, version), refused=error, reason=reason, status=error.status)
    if verb in DONE:
        messages.success(request, f"{row.module.title} {row.version} {DONE[verb]}")
    return redirect("catalog:version", slug=slug, version=row.version)


def _page(
    request: SignedIn, row: ModuleVersion, *, refused: UserError | None = None, reason: str = "", status: int = 200
) -> HttpResponse:
    keeps = request.user.sees_everything
    tabs = [entry for entry in TABS if keeps or entry[0] != "checks"]
    tab = request.GET.get("tab", "")
    tab = tab if tab in dict(tabs) else tabs[0][0]
    module: Module = row.module
    difference = version_difference(request.user, row) if tab == "changes" else None
    context = {
        "module": module,
        "row": row,
        "tab": tab,
        "tabs": [{"label": label, "url": f"?tab={name}", "active": name == tab} for name, label in tabs],
        "crumbs": [
            {"label": "Modules", "url": reverse("catalog:list")},
            {"label": module.title, "url": reverse("catalog:module", args=[module.slug])},
        ],
        "refused": refused,
        "reason": reason,
        "readme": readme_html(row.readme) if tab == "readme" else "",
        "inputs": row.parsed().inputs if tab == "inputs" else (),
        "changelog": readme_html(f"# \n\n{row.changelog}") if tab == "changes" and row.changelog else "",
        "before": difference[0] if difference else None,
        "difference": difference[1] if difference else None,
        **_state(request, row),
    }
    return render(request, "catalog/version.html", context, status=status)


def _state(request: SignedIn, row: ModuleVersion) -> dict[str, Any]:
    """What the state of a version is, and what the person may do about it."""
    user, slug = request.user, row.module.slug
    keeps, may_act = user.sees_everything, can(user, CatalogPermission.PUBLISH)
    checks = list(row.checks.all()) if keeps else []
    word = version_word(row)
    obstacle = publish_obstacle(row) if keeps and row.status == S.DRAFT else ""
    running = any(check.is_active for check in checks)

    def post(verb: str, label: str, icon: str = "", **more: Any) -> dict[str, Any]:
        url = reverse(f"catalog:version_{verb}", args=[slug, row.version])
        return {"label": label, "url": url, "method": "post", "icon": icon, **more}

    actions = []
    if may_act and row.status == S.DRAFT:
        actions.append(post("publish", "Publish version", "check", disabled_reason=_short_reason(obstacle)))
    return {
        "row": row,
        "module": row.module,
        "keeps": keeps,
        "word": word,
        "state": {"tone": word.tone, "label": word.label, "reason": row.status_reason},
        "follows": {
            "topic": f"module-version:{row.pk}",
            "url": reverse("catalog:version_part", args=[slug, row.version]),
        },
        "actions": actions,
        "obstacle": obstacle if not running else "",
        "running": running,
        "checks": [_check(check) for check in checks],
        "check_again": post("check", "Run checks again", "refresh", small=True) if may_act and not running else None,
        "reasoned": _reasoned(row, post) if may_act else [],
        "reason_length": REASON_LENGTH,
        "facts": _facts(request, row),
    }


def _short_reason(obstacle: str) -> str:
    return "See the checks" if obstacle else ""


def _check(check: VersionCheck) -> dict[str, Any]:
    return {"row": check, "word": check_word(check), "open": check.status == VersionCheck.Status.FAILED}


def _reasoned(row: ModuleVersion, post: Any) -> list[dict[str, Any]]:
    """What needs a reason: (action, what it means)."""
    shown = []
    if row.status == S.PUBLISHED:
        words = "No new launches. What was launched goes on; its owners are told."
        shown.append({"action": post("deprecate", "Deprecate version"), "words": words})
    if row.status in (S.PUBLISHED, S.DEPRECATED):
        words = "No launches and no starts. What runs goes on and is flagged; its owners are told."
        shown.append({"action": post("revoke", "Revoke version", style="danger"), "words": words})
    if row.status in (S.DEPRECATED, S.REVOKED):
        shown.append({"action": post("restore", "Publish again"), "words": "It can be launched and started again."})
    return shown


def _facts(request: SignedIn, row: ModuleVersion) -> list[dict[str, Any]]:
    facts: list[dict[str, Any]] = [
        {"label": "Source", "value": row.source},
        {"label": "Digest", "value": row.digest[:12], "title": row.digest},
    ]
    if row.commit:
        facts.insert(1, {"label": "Commit", "value": row.commit[:10], "title": row.commit})
    if request.user.sees_everything:
        count = usage_of(request.user, [row.pk]).get(row.pk, 0)
        by = (row.registered_by or row.published_by) if row.registered_by_id or row.published_by_id else None
        words = f"{count} environment{'' if count == 1 else 's'}"
        facts += [
            {"label": "Runs in", "value": words, "url": usage_url(row, row.module) if count else ""},
            {"label": "Registered by", "value": by.display_name if by else "Slipway"},
        ]
        if row.origin_id and row.origin is not None and row.origin.kind == "git":
            facts[0]["url"] = reverse("catalog:source", args=[row.origin_id])
    return facts
