"""What stands around the runs table: its head, menus, filter, the choice of columns."""

from typing import Any

from django.core.cache import cache
from django.http import HttpRequest, QueryDict
from django.urls import reverse

from apps.core.templatetags.portal_ui import four_digits
from apps.experiments.filters import FilterInvalid
from apps.experiments.models import Experiment
from apps.experiments.selectors.columns import OWN
from apps.experiments.selectors.emptied import terms_of
from apps.experiments.selectors.freshness import freshness
from apps.experiments.selectors.layout import Layout
from apps.experiments.selectors.runs import RunQuery
from apps.experiments.selectors.saved_views import views_listed
from apps.experiments.services.bulk import may_change
from apps.experiments.usage import use_of_experiment
from apps.experiments.views.finding import query_kept, table_url
from apps.experiments.views.table_cells import label_of

USE_SECONDS = 60
EXPORTS = (("csv", "CSV"), ("parquet", "Parquet"))


def frame_context(query: RunQuery, shown: Experiment | None, kept: str) -> dict[str, Any]:
    """Of what a whole page has around the list; `kept` is the list's own address."""
    return {
        "crumbs": crumbs_of(shown),
        "heading": shown.name.rpartition("/")[2] or shown.name if shown else "All runs",
        "meta": _meta(shown),
        "state": {"tone": "neutral", "label": "Archived"} if shown and shown.archived else None,
        "actions": [{"label": "Charts", "url": _charts_url(shown, kept), "icon": "chart-line"}],
        "menu": _menu(query, shown),
        "complete_url": reverse("experiments:complete"),
        "views": views_listed(query.user, shown),
        "share_teams": [] if shown else query.own_teams,
    }


def list_context(request: HttpRequest, query: RunQuery, shown: Experiment | None, layout: Layout) -> dict[str, Any]:
    """Of the list but for its rows: what can be done with it, and where its parts lead."""
    get = request.GET
    kept = query_kept(get)
    ident = shown.pk if shown else ""
    return {
        "experiment": shown,
        "freshness": freshness(),
        "table_url": table_url(shown),
        "fresh_url": f"{reverse('experiments:fresh')}?{kept}&experiment={ident}",
        "topics": f"experiment:{ident}" if shown else "experiments",
        "columns_url": f"{reverse('experiments:columns')}?{kept}&experiment={ident}",
        "kept": kept,
        "hidden": _hidden(get),
        "chips": _chips(query, get),
        "ordering": query.ordering,
        "archived": query.archived,
        "differs": get.get("differs", "") not in {"", "0"},
        "flat": get.get("flat", "") not in {"", "0"},
        "links": {
            "archived": f"?{query_kept(get, archived='' if query.archived else '1')}",
            "differs": f"?{query_kept(get, differs='' if get.get('differs') else '1')}",
            "flat": f"?{query_kept(get, 'open', flat='' if get.get('flat') else '1')}",
            "ungroup": f"?{query_kept(get, 'group', 'metric')}",
        },
        "exports": [
            {"label": label, "url": f"{reverse('experiments:export')}?{kept}&experiment={ident}&format={name}"}
            for name, label in EXPORTS
        ],
        "chosen": [{"key": one.key, "label": label_of(one)} for one in layout.columns],
        "own_columns": OWN,
    }


def crumbs_of(shown: Experiment | None) -> list[dict[str, str]]:
    """Experiments, then each folder of the name."""
    root = reverse("experiments:list")
    crumbs = [{"label": "Experiments", "url": root}]
    path = ""
    for part in shown.folder.split("/") if shown and shown.folder else []:
        path = f"{path}/{part}" if path or part == "" else part
        if part:
            query = QueryDict(mutable=True)
            query["folder"] = path
            crumbs.append({"label": part, "url": f"{root}?{query.urlencode()}"})
    return crumbs


def _meta(shown: Experiment | None) -> list[dict[str, str]]:
    if shown is None:
        return []
    items = [{"label": "Team", "text": shown.team.name if shown.team else "none"}]
    if shown.owner:
        items.append({"label": "Owner", "text": shown.owner.display_name})
    if shown.best_value is not None:
        items.append({"label": f"Best {shown.main_metric}", "text": four_digits(shown.best_value)})
    if shown.failed_count:
        items.append({"text": f"{shown.failed_count:,} failed"})
    used = cache.get_or_set(f"experiments:use:{shown.pk}", lambda: _use_said(shown), USE_SECONDS)
    return [*items, {"label": "Used", "text": used}] if used else items


def _use_said(shown: Experiment) -> str:
    """ "12.4 core hours, 8 % by failed runs"; kept a minute, because it goes through every run."""
    use = use_of_experiment(shown)
    if use is None or not (use.total.core_seconds or use.total.gpu_seconds):
        return ""
    parts = [f"{four_digits(use.total.core_seconds / 3600)} core hours"]
    if use.total.gpu_seconds:
        parts.append(f"{four_digits(use.total.gpu_seconds / 3600)} GPU hours")
    share = use.failed_share
    lost = f", {round(100 * share)} % by failed runs" if share else ""
    return f"{' and '.join(parts)}{lost}"


def _menu(query: RunQuery, shown: Experiment | None) -> list[dict[str, Any]]:
    if shown is None or not may_change(query.user, [shown], query.own_teams):
        return []
    address = reverse("experiments:archive", args=[shown.pk])
    if shown.archived:
        return [{"label": "Restore experiment", "url": address, "method": "post", "hidden": {"restore": "1"}}]
    return [{"label": "Archive experiment", "url": address, "method": "post"}]


def _charts_url(shown: Experiment | None, kept: str) -> str:
    address = reverse("experiments:experiment-charts", args=[shown.pk]) if shown else reverse("experiments:charts")
    return f"{address}?{kept}"


def _hidden(get: QueryDict) -> list[tuple[str, str]]:
    """Of the filter's form: everything of the address but the filter itself."""
    query = QueryDict(query_kept(get, "filter", "open"))
    return [(name, value) for name in query for value in query.getlist(name)]


def _chips(query: RunQuery, get: QueryDict) -> list[dict[str, str]]:
    """Each term of the filter, to be taken out."""
    try:
        terms = terms_of(query) if query.filter.strip() else []
    except FilterInvalid:
        return []
    return [{"label": term.text, "url": f"?{query_kept(get, 'open', filter=term.rest)}"} for term in terms]
