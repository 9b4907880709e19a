"""Two versions of a model side by side."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.experiments.models import Run
from apps.registry.cards import SECTIONS
from apps.registry.models import ModelVersion, RegisteredModel
from apps.registry.selectors import aliases_by_version, card_when_newest, runs_seen, version_get, version_numbers
from apps.registry.signature import signature_stored
from apps.registry.signature_difference import signatures_compare
from apps.registry.views.finding import crumbs, model_find, number_asked, person


@login_required
@require_safe
def compare(request: HttpRequest, name: str) -> HttpResponse:
    """`?old=1&new=2`; without them the version before the newest, and the newest."""
    model = model_find(request, name)
    numbers = version_numbers(model)
    new = _version(model, number_asked(request, "new") or (numbers[0] if numbers else 0))
    old = _version(model, number_asked(request, "old") or _before(numbers, new))
    context: dict[str, Any] = {"model": model, "crumbs": crumbs(model), "numbers": numbers, "old": old, "new": new}
    if old is None or new is None:
        return render(request, "registry/compare.html", context)
    runs = runs_seen(person(request), [old.run_id, new.run_id])
    before, after = runs.get(old.run_id), runs.get(new.run_id)
    aliases = aliases_by_version(model)
    context |= {
        "compared": signatures_compare(signature_stored(old.signature), signature_stored(new.signature)),
        "metrics": _metrics(old.metrics, new.metrics),
        "params": _values(old.params, new.params),
        "requirements": _values(_pinned(old), _pinned(new)),
        "datasets": _values(_datasets(before), _datasets(after)),
        "cards": _cards(model, old, new),
        "runs": (before, after),
        "aliases": (aliases.get(old.version, []), aliases.get(new.version, [])),
        "digests_same": bool(old.digest) and old.digest == new.digest,
    }
    return render(request, "registry/compare.html", context)


def _version(model: RegisteredModel, number: int) -> ModelVersion | None:
    return version_get(model, number) if number else None


def _before(numbers: list[int], new: ModelVersion | None) -> int:
    return next((number for number in numbers if new is not None and number < new.version), 0)


def _metrics(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Every metric of either, with the difference where both are numbers."""
    rows = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        change = after - before if isinstance(before, int | float) and isinstance(after, int | float) else None
        rows.append({"key": key, "old": before, "new": after, "change": change, "same": before == after})
    return sorted(rows, key=lambda row: row["same"])


def _values(old: dict[str, str], new: dict[str, str]) -> list[dict[str, Any]]:
    """What differs first."""
    rows = [
        {"key": key, "old": old.get(key), "new": new.get(key), "same": old.get(key) == new.get(key)}
        for key in sorted(old.keys() | new.keys())
    ]
    return sorted(rows, key=lambda row: row["same"])


def _pinned(version: ModelVersion) -> dict[str, str]:
    lines = (line.partition("==") for line in version.requirements)
    return {name.strip(): pinned or "any" for name, _, pinned in lines}


def _datasets(run: Run | None) -> dict[str, str]:
    found = [each for each in (run.datasets if run else []) if isinstance(each, dict)]
    return {
        f"{each.get('name', '')} {each.get('context') or ''}".strip(): str(each.get("digest", "")) for each in found
    }


def _cards(model: RegisteredModel, old: ModelVersion, new: ModelVersion) -> list[dict[str, Any]]:
    """By section, where it said something else when each version was the newest."""
    before, after = card_when_newest(model, old), card_when_newest(model, new)
    return [
        {"key": section.title, "old": before.get(section.key), "new": after.get(section.key)}
        for section in SECTIONS
        if before.get(section.key) != after.get(section.key)
    ]
