"""Which environments run which version of a module, and rolling a version out: pages of platform engineers."""

from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from apps.catalog.models import Module, ModuleVersion
from apps.core.exceptions import Conflict, InvalidInput
from apps.core.paging import page_of
from apps.environments.forms import show_errors
from apps.environments.models import Environment, Rollout, RolloutItem
from apps.environments.permissions import may_roll_out, rollout_require
from apps.environments.rollout_forms import RolloutForm, common_form
from apps.environments.rollout_selectors import environments_of_module, rollout_counts, versions_in_use
from apps.environments.selectors import difference_sentences
from apps.environments.services.rollouts import Candidate, Verdict, rollout_look, rollout_start
from apps.environments.services.rollouts.starting import inputs_common
from apps.environments.words import change_word, status_word

PAGE_SIZE = 50
T, R = RolloutItem.State, Rollout.State
TONES = {
    T.WAITING: "neutral", T.NEEDS_INPUT: "warn", T.PLANNING: "busy", T.CONFIRMING: "warn", T.DONE: "good",
    T.FAILED: "bad", T.SKIPPED: "neutral",
}  # fmt: skip
STATE_TONES = {R.RUNNING: "busy", R.PAUSED: "warn", R.FINISHED: "good", R.STOPPED: "neutral"}
VERDICTS = {
    Verdict.READY: ("good", "Ready"),
    Verdict.NEEDS_INPUT: ("warn", "Needs values"),
    Verdict.BUSY: ("busy", "Busy, waits for its turn"),
    Verdict.LEFT_OUT: ("bad", "Left out"),
    Verdict.THERE: ("neutral", "Up to date"),
}


def _crumbs(module: Module, *further: tuple[str, str]) -> list[dict[str, str]]:
    crumbs = [
        {"label": "Modules", "url": reverse("catalog:list")},
        {"label": module.title, "url": reverse("catalog:module", args=[module.slug])},
    ]
    return [*crumbs, *({"label": label, "url": url} for label, url in further)]


def _module(request: HttpRequest, slug: str) -> Module:
    """404 for a module one does not see, 403 for those who do not keep modules."""
    module = get_object_or_404(Module.objects.visible_to(request.user), slug=slug)  # type: ignore[arg-type]
    if not getattr(request.user, "sees_everything", False):
        raise PermissionDenied("Only platform engineers and auditors see where a module runs")
    return module


@login_required
@require_safe
def versions(request: HttpRequest, module: str) -> HttpResponse:
    """Where a module runs: how many environments have which version, and which ones."""
    entry = _module(request, module)
    user: Any = request.user
    chosen = request.GET.get("version", "")[:40]
    rows = environments_of_module(user=user, module=entry, version=chosen)
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    base = reverse("environments:versions", args=[entry.slug])
    rollouts = Rollout.objects.visible_to(user).filter(module=entry).select_related("to_version", "requested_by")
    context = {
        "module": entry,
        "crumbs": _crumbs(entry),
        "counts": versions_in_use(user=user, module=entry),
        "chosen": chosen,
        "base": base,
        "rows": [{"environment": row, "word": status_word(row)} for row in page.rows],
        "count": rows.order_by().count(),
        "next_url": page.next and f"?version={chosen}&cursor={page.next}",
        "previous_url": page.previous and f"?version={chosen}&cursor={page.previous}",
        "may_roll_out": may_roll_out(user) and entry.latest_version_id is not None,
        "rollouts": [_rollout_row(row) for row in rollouts.defer(*HEAVY)[:10]],
    }
    return render(request, "environments/versions.html", context)


HEAVY = ("to_version__archive", "to_version__interface", "to_version__readme", "to_version__changelog", "inputs_cipher")


def _rollout_row(row: Rollout) -> dict[str, Any]:
    return {
        "rollout": row,
        "tone": STATE_TONES[R(row.state)],
        "url": reverse("environments:rollout", args=[row.pk]),
    }


@sensitive_post_parameters()
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rollout_new(request: HttpRequest, module: str) -> HttpResponse:
    """GET shows who is meant and what stands in each one's way; POST begins."""
    entry = _module(request, module)
    user: Any = request.user
    rollout_require(user)
    data = request.POST if request.method == "POST" else request.GET.copy()
    if request.method != "POST":
        latest = entry.latest_version
        data.setdefault("version", latest.version if latest else "")  # type: ignore[union-attr]
        data.setdefault("wave_size", str(RolloutForm.base_fields["wave_size"].initial))  # type: ignore[union-attr]
    form = RolloutForm(data, module=entry)
    if not form.is_valid():
        return _new_page(request, entry, form, None, [], None, status=422)
    asked = form.cleaned_data
    version = ModuleVersion.objects.select_related("module").defer("archive").get(pk=asked["version"].pk)
    chosen = asked["environment"] or None
    try:
        candidates = rollout_look(version=version, team=asked["team"], environments=chosen)
    except InvalidInput as error:
        form.add_error(None, str(error))
        return _new_page(request, entry, form, version, [], None, status=422)
    common = inputs_common(candidates)
    values = common_form(version, common, data if request.method == "POST" else None)
    if request.method != "POST":
        return _new_page(request, entry, form, version, candidates, values)
    if values.is_valid():
        try:
            rollout = rollout_start(
                actor=user,
                version=version,
                team=asked["team"],
                environments=chosen,
                wave_size=asked["wave_size"],
                inputs=typed_values(values),
            )
        except (InvalidInput, Conflict) as error:
            show_errors(error, form, values)
        else:
            return redirect("environments:rollout", pk=rollout.pk)
    return _new_page(request, entry, form, version, candidates, values, status=422)


def typed_values(form: Any) -> dict[str, Any]:
    """What was typed into the form of common values; what was left empty is not given."""
    return {
        name: value
        for name, value in form.values().items()
        if name in form.fields and value not in (None, "", [], {}) and name in form.changed_data
    }


def _new_page(
    request: HttpRequest,
    module: Module,
    form: RolloutForm,
    version: ModuleVersion | None,
    candidates: list[Candidate],
    values: Any,
    status: int = 200,
) -> HttpResponse:
    counts: dict[str, int] = {}
    rows = []
    for candidate in candidates:
        tone, word = VERDICTS[candidate.verdict]
        counts[word] = counts.get(word, 0) + 1
        rows.append({"candidate": candidate, "environment": candidate.environment, "tone": tone, "word": word})
    olds = {c.environment.module_version_id: c.environment.module_version for c in candidates}
    differences = [
        {"version": old.version, "sentences": difference_sentences(old, version)}
        for old in list(olds.values())[:5]
        if version is not None and old.pk != version.pk
    ]
    context = {
        "module": module,
        "crumbs": _crumbs(module, ("Where it runs", reverse("environments:versions", args=[module.slug]))),
        "form": form,
        "version": version,
        "rows": rows,
        "counts": counts,
        "turns": sum(c.verdict not in (Verdict.LEFT_OUT, Verdict.THERE) for c in candidates),
        "chosen": request.POST.getlist("environment") or request.GET.getlist("environment"),
        "values": values,
        "fields": [values[name] for name in values.fields] if values else [],
        "differences": differences,
    }
    return render(request, "environments/rollout_new.html", context, status=status)


def find_rollout(request: HttpRequest, pk: UUID) -> Rollout:
    rows = Rollout.objects.visible_to(request.user).select_related("module", "to_version", "team", "requested_by")  # type: ignore[arg-type]
    rollout = rows.defer("to_version__archive", "to_version__readme", "inputs_cipher").filter(pk=pk).first()
    if rollout is None:
        raise Http404
    return rollout


@login_required
@require_safe
def rollouts(request: HttpRequest) -> HttpResponse:
    """Every rollout, newest first."""
    user: Any = request.user
    if not user.sees_everything:
        raise PermissionDenied("Only platform engineers and auditors see rollouts")
    rows = Rollout.objects.visible_to(user).select_related("module", "to_version", "team", "requested_by").defer(*HEAVY)
    page = page_of(rows, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    context = {
        "rows": [_rollout_row(row) for row in page.rows],
        "count": rows.order_by().count(),
        "next_url": page.next and f"?cursor={page.next}",
        "previous_url": page.previous and f"?cursor={page.previous}",
    }
    return render(request, "environments/rollouts.html", context)


@login_required
@require_safe
def rollout(request: HttpRequest, pk: UUID) -> HttpResponse:
    return render(request, "environments/rollout.html", rollout_context(request, find_rollout(request, pk)))


@login_required
@require_safe
def rollout_fragment(request: HttpRequest, pk: UUID) -> HttpResponse:
    """State, progress and turns, as they are now."""
    return render(request, "environments/_rollout_body.html", rollout_context(request, find_rollout(request, pk)))


def rollout_context(request: HttpRequest, row: Rollout) -> dict[str, Any]:
    user: Any = request.user
    counts = rollout_counts(row)
    decides = may_roll_out(user) and row.is_active
    asked = request.GET.get("state", "")
    items = RolloutItem.objects.visible_to(user).filter(rollout=row)
    if asked in T.values:
        items = items.filter(state=asked)
    items = items.select_related(
        "environment__owner", "environment__team", "change", "from_version", "environment"
    ).defer(
        "from_version__archive", "from_version__interface", "from_version__readme", "from_version__changelog",
        "change__values", "change__plan", "environment__inputs_cipher", "environment__secrets_cipher",
        "environment__settled_cipher",
    )  # fmt: skip
    page = page_of(items, cursor=request.GET.get("cursor", ""), size=PAGE_SIZE)
    query = f"state={asked}&" if asked in T.values else ""
    settled = counts.get(T.DONE, 0) + counts.get(T.SKIPPED, 0)
    total = sum(counts.values())
    scope = row.team.name if row.team else row.get_scope_display().lower()
    return {
        "rollout": row,
        "crumbs": _crumbs(row.module, ("Where it runs", reverse("environments:versions", args=[row.module.slug]))),
        "live": {"topic": row.topic, "url": f"{reverse('environments:rollout_fragment', args=[row.pk])}?{query}"},
        "tone": STATE_TONES[R(row.state)],
        "decides": decides,
        "scope": scope,
        "counts": [(state.value, state.label, counts[state], TONES[state]) for state in T if counts.get(state)],
        "chosen_state": asked if asked in T.values else "",
        "settled": settled,
        "total": total,
        "needs": counts.get(T.NEEDS_INPUT, 0),
        "items": [_item(row, item, decides) for item in page.rows],
        "next_url": page.next and f"?{query}cursor={page.next}",
        "previous_url": page.previous and f"?{query}cursor={page.previous}",
    }


def _item(row: Rollout, item: RolloutItem, decides: bool) -> dict[str, Any]:
    change = item.change
    can_skip = decides and item.state in (T.WAITING, T.NEEDS_INPUT, T.FAILED)
    url = reverse("environments:change", args=[item.environment_id, change.pk]) if change else ""
    return {
        "item": item,
        "environment": item.environment,
        "tone": TONES[T(item.state)],
        "word": item.get_state_display(),
        "change": change,
        "change_word": change_word(change) if change else None,
        "change_url": url,
        "skip": {
            "label": "Skip this one",
            "url": reverse("environments:rollout_skip", args=[row.pk, item.environment_id]),
            "method": "post",
            "small": True,
        }
        if can_skip
        else None,
    }


def environment_of_item(row: Rollout, environment_id: UUID) -> Environment:
    item = row.items.filter(environment=environment_id).select_related("environment").first()
    if item is None:
        raise Http404
    return item.environment
