from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from apps.core.rates import rate_check
from apps.experiments.filters.completing import Place, attributes_matching, key_written, place_of
from apps.experiments.filters.nodes import Kind
from apps.experiments.filters.scanner import MAX_TEXT
from apps.experiments.models import Experiment, Run
from apps.experiments.selectors.columns import NOUNS, keys_of, texts_of
from apps.experiments.selectors.runs import RunQuery
from apps.experiments.views.finding import experiment_asked, person

MOST = 12
OPERATORS = ("=", "!=", ">", "<", ">=", "<=", "LIKE '%%'", "ILIKE '%%'", "IN ('')", "IS NULL", "IS NOT NULL")
MOMENTS = ("today", "yesterday", "last 7 days", "last 30 days", "this month")
SPANS = ("10m", "1h", "1d")


@login_required
@require_safe
def complete(request: HttpRequest) -> JsonResponse:
    """`?text=&caret=&experiment=`: what can stand there. Keys and values of runs that the person may see, no others.

    `{"start": 8, "options": [{"text": "metrics.auc", "about": "Metric"}]}`: `text` replaces from `start` to the caret.
    """
    user = person(request)
    rate_check(scope="search", user_id=user.pk)
    shown = experiment_asked(request, request.GET.get("experiment", ""))
    text = request.GET.get("text", "")[:MAX_TEXT].replace("\0", "")
    raw = request.GET.get("caret", "")
    caret = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 6 else len(text)
    place = place_of(text, min(caret, len(text)))
    query = RunQuery(user=user, experiment=shown)
    if place.asks == "operator":
        options = [{"text": f"{one} ", "about": ""} for one in OPERATORS]
    elif place.asks == "value":
        options = _values(place, query)
    else:
        options = _names(place.begun, query)
    return JsonResponse({"start": place.start, "options": options[:MOST]})


def _names(begun: str, query: RunQuery) -> list[dict[str, str]]:
    """Keys by any part of their name, or of the kind that stands before the dot."""
    bare = begun.lstrip("(")
    head, dot, rest = bare.partition(".")
    kinds = [kind for kind in ("metrics", "params", "tags") if not dot or kind.startswith(head.rstrip("s"))]
    searched = (rest if dot else bare).strip('`"')
    if not bare:
        kinds = []
    found: list[dict[str, str]] = []
    for kind in kinds:
        about = NOUNS[kind].capitalize()
        keys = keys_of(kind, query.experiment_ids, containing=searched, limit=MOST)
        found += [{"text": key_written(kind, key), "about": about} for key in keys]
    # What begins with what was written, then what holds it.
    found.sort(key=lambda one: not one["text"].partition(".")[2].lower().startswith(searched.lower()))
    own = [{"text": name, "about": about} for name, about in attributes_matching(bare)]
    return (own[:4] + found if bare else own) if not dot else found + own


def _values(place: Place, query: RunQuery) -> list[dict[str, str]]:
    begun = place.begun.strip("'\"")
    if place.kind in {Kind.PARAM, Kind.TAG}:
        texts = texts_of(str(place.kind), place.key, query.experiment_ids, containing=begun, limit=MOST)
        return [_quoted(text) for text in texts]
    if place.kind is not Kind.ATTRIBUTE:
        return []
    if place.key == "status":
        return [_quoted(value, label) for value, label in Run.Status.choices if begun.upper() in value]
    if place.key in {"start_time", "end_time"}:
        return [{"text": one, "about": ""} for one in MOMENTS if begun.lower() in one]
    if place.key == "duration":
        return [{"text": one, "about": ""} for one in SPANS]
    if place.key == "experiment":
        rows: Any = Experiment.objects.visible_to(query.user).filter(name__icontains=begun)
        return [_quoted(name) for name in rows.order_by("name").values_list("name", flat=True)[:MOST]]
    return []


def _quoted(text: str, about: str = "") -> dict[str, str]:
    return {"text": "'" + text.replace("'", "''") + "'", "about": about}
