"""The runs table: of one experiment, or over all of them."""

from typing import Any
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.core.exceptions import InvalidInput
from apps.core.paging import CursorInvalid
from apps.experiments.exceptions import FilterInvalid
from apps.experiments.filters.scanner import MAX_TEXT
from apps.experiments.models import Experiment
from apps.experiments.selectors.columns import values_of_columns
from apps.experiments.selectors.emptied import term_that_emptied, terms_of
from apps.experiments.selectors.families import Family, children_of, families_page, has_families
from apps.experiments.selectors.freshness import freshness
from apps.experiments.selectors.layout import Layout, Table, layout_of, table_of
from apps.experiments.selectors.listed import ListedRun, runs_listed_by_id
from apps.experiments.selectors.runs import RunPage, RunQuery, run_query
from apps.experiments.services.bulk import may_change
from apps.experiments.views.finding import experiment_find, person, query_kept, table_url
from apps.experiments.views.grouping import group_asked, group_context
from apps.experiments.views.table_frame import frame_context, list_context
from apps.experiments.views.table_rows import Drawn, rows_drawn

PAGE_SIZE = 100
MOST_OPEN = 20
GROUP_UNKNOWN = "Runs are grouped by a parameter or a tag, such as params.optimizer or tags.stage."


@login_required
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    return _table(request, None)


@login_required
@require_safe
def experiment(request: HttpRequest, experiment_id: str) -> HttpResponse:
    related = () if request.htmx.target == "runs" else ("team", "owner")  # type: ignore[attr-defined]
    return _table(request, experiment_find(request, experiment_id, *related))


def _table(request: HttpRequest, shown: Experiment | None) -> HttpResponse:
    """A filter that cannot be read is answered with 422: the place of the error, and no rows.

    Who has the page already and orders the list or turns its page gets the list alone.
    """
    get, problem = request.GET.copy(), None
    get["archived"] = "1" if shown is not None and shown.archived else get.get("archived", "")
    try:
        query = run_query(person(request), get, shown)
    except FilterInvalid as error:
        problem = _problem(error)
        query = _without(request, get, shown, "filter")
    except InvalidInput:
        query = _without(request, get, shown, "ordering")
    layout = layout_of(person(request), shown)
    is_part = request.htmx.target == "runs" and problem is None  # type: ignore[attr-defined]
    context = list_context(request, query, shown, layout)
    if not is_part:
        context |= frame_context(query, shown, context["kept"])
    context |= {"problem": problem, "filter_text": _one_line(request.GET.get("filter", ""))}
    if problem is None:
        group = group_asked(get)
        if group is None and get.get("group", "").strip():
            context["group_unknown"] = GROUP_UNKNOWN
        context |= group_context(get, query, group) if group else _rows(request, query, shown, layout)
    template = "experiments/_runs.html" if is_part else "experiments/runs.html"
    return render(request, template, context, status=422 if problem else 200)


def _problem(error: FilterInvalid) -> dict[str, Any]:
    """What is wrong, and a caret to stand under the character it is wrong at."""
    return {"message": str(error), "caret": f"{' ' * error.position}^", "place": error.position + 1}


def _one_line(text: str) -> str:
    return "".join(" " if character.isspace() else character for character in text[:MAX_TEXT])


def _without(request: HttpRequest, get: QueryDict, shown: Experiment | None, word: str) -> RunQuery:
    """The query without the word that could not be read, and without an order that is none either."""
    get[word] = ""
    try:
        return run_query(person(request), get, shown)
    except InvalidInput:
        get["filter"] = get["ordering"] = ""
        return run_query(person(request), get, shown)


def _rows(request: HttpRequest, query: RunQuery, shown: Experiment | None, layout: Layout) -> dict[str, Any]:
    """Rows, head, total and paging."""
    get = request.GET
    newest = query.newest()
    folded = get.get("flat", "") in {"", "0"} and has_families(query)
    page, families = _page(query, get.get("cursor", ""), folded)
    opened = get.getlist("open")[:MOST_OPEN]
    below = {family.top.run_id: children_of(query, family) for family in families if family.top.run_id in opened}
    listed = [*page.rows, *(run for children in below.values() for run in children)]
    table = table_of(
        listed,
        asked=get.getlist("column"),
        kept=layout.columns,
        ordering=query.ordering,
        experiment=shown,
        only_differing=get.get("differs", "") not in {"", "0"},
    )
    baseline, base_values = _baseline(query, layout, table)
    drawn = Drawn(get, query, table, families, below, baseline, base_values)
    return {
        "rows": rows_drawn(page.rows, drawn),
        "columns": table.columns,
        "heads": drawn.heads(),
        "columns_shown": "".join(f"&shown={quote(shown.key, safe='')}" for shown in table.columns),
        "baseline": drawn.baseline_row(),
        "count": page.count,
        "families": bool(families),
        "may_fold": folded or get.get("flat", "") not in {"", "0"},
        "next_url": f"?{query_kept(get)}&cursor={page.next}" if page.next else "",
        "previous_url": f"?{query_kept(get)}&cursor={page.previous}" if page.previous else "",
        "may_change": bool(listed) and may_change(query.user, {run.experiment for run in listed}, query.own_teams),
        "newest": newest,
        "emptied": _emptied(query, get) if not page.count else None,
    }


def _page(query: RunQuery, cursor: str, folded: bool) -> tuple[RunPage, list[Family]]:
    """A page; an old cursor begins again rather than break a kept address."""
    try:
        return _page_at(query, cursor, folded)
    except CursorInvalid:
        return _page_at(query, "", folded)


def _page_at(query: RunQuery, cursor: str, folded: bool) -> tuple[RunPage, list[Family]]:
    if not folded:
        return query.page(cursor=cursor, size=PAGE_SIZE, counted=True), []
    page = families_page(query, cursor=cursor, size=PAGE_SIZE)
    return RunPage([one.top for one in page.families], page.next, page.previous, page.count), page.families


def _baseline(query: RunQuery, layout: Layout, table: Table) -> tuple[ListedRun | None, dict[str, Any] | None]:
    if not layout.baseline:
        return None, None
    found = query.seen(list(runs_listed_by_id([layout.baseline]).values()))
    if not found:
        return None, None
    run = found[0]
    return run, values_of_columns([run], [shown.column for shown in table.columns])[run.pk]


def _emptied(query: RunQuery, get: QueryDict) -> dict[str, str] | None:
    """The term that left nothing, as the empty state shows it."""
    term = term_that_emptied(query) if terms_of(query) else None
    return {"label": term.text[:60], "url": f"?{query_kept(get, filter=term.rest)}"} if term else None


@login_required
@require_safe
def fresh(request: HttpRequest) -> HttpResponse:
    """How many runs of the list came after what was the newest (`since`) when a page was made, for its line of them."""
    given = request.GET.get("experiment", "")
    shown = experiment_find(request, given) if given else None
    since = request.GET.get("since", "")
    number = int(since) if since.isascii() and since.isdigit() and len(since) < 18 else None
    try:
        query = run_query(person(request), request.GET, shown)
        count = 0 if number is None else query.rows().filter(pk__gt=number).count()
    except InvalidInput:
        count = 0
    context = {
        "new": count,
        "fresh_url": request.get_full_path(),
        "topics": f"experiment:{shown.pk}" if shown else "experiments",
        "show_url": f"{table_url(shown)}?{query_kept(request.GET)}",
        "freshness": freshness(),
    }
    return render(request, "experiments/_fresh.html", context)
