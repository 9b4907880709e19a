"""What is done from the runs table: columns, baseline, views, notes, and changes of the runs that are selected."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.forms import Form
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from apps.accounts.models import Team
from apps.core.exceptions import InvalidInput, NotAllowed, UserError
from apps.experiments.exceptions import NoteChanged
from apps.experiments.forms import BaselineForm, ChosenForm, LayoutForm, SavedViewForm, TagForm
from apps.experiments.models import Experiment, Run, SavedView
from apps.experiments.run_forms import NoteForm
from apps.experiments.selectors.columns import NOUNS, OWN, column_read, keys_of
from apps.experiments.selectors.layout import MOST_COLUMNS, Shown, layout_of
from apps.experiments.selectors.runs import RunQuery
from apps.experiments.services.bulk import WHAT_MEMBERS_DO, may_change, runs_archive, runs_restore, runs_tag
from apps.experiments.services.layouts import baseline_set, layout_save
from apps.experiments.services.run_notes import note_mark, run_note_write
from apps.experiments.services.views import view_delete, view_save
from apps.experiments.views.finding import experiment_asked, person, query_kept, table_url

EXPORTS = {"export-csv": "csv", "export-parquet": "parquet"}
MOST_EXPORTED = 100  # as many ids as a filter holds
LOOKS = {"compare": "experiments:compare", "charts": "experiments:charts"}
KINDS = (("metrics", "Metrics"), ("params", "Parameters"), ("tags", "Tags"))


def _back(request: HttpRequest, shown: Experiment | None, *drop: str) -> HttpResponse:
    """To the table as it was, by the query it had."""
    return redirect(f"{table_url(shown)}?{query_kept(_kept(request), *drop)}")


def _kept(request: HttpRequest) -> QueryDict:
    try:
        return QueryDict(request.POST.get("kept", "")[:8000].replace("\0", ""))
    except (UnicodeError, ValueError):
        return QueryDict()


@login_required
@require_safe
def columns(request: HttpRequest) -> HttpResponse:
    """The choice of columns: a page without JavaScript, with it the content of a dialog."""
    shown = experiment_asked(request, request.GET.get("experiment", ""))
    ids = RunQuery(user=person(request), experiment=shown).experiment_ids
    own = layout_of(person(request), shown).columns
    # Who has chosen none yet begins with those that the table shows (`shown`).
    asked = map(column_read, request.GET.getlist("shown")[:MOST_COLUMNS])
    kept = own or [Shown(column) for column in dict.fromkeys(asked) if column is not None]
    chosen = {one.key: one for one in kept}
    groups = [("Of the run", [(key, label) for key, label in OWN.items() if key != "name"])]
    groups += [(title, [(f"{kind}.{key}", key) for key in keys_of(kind, ids)]) for kind, title in KINDS]
    context: dict[str, Any] = {
        "experiment": shown,
        "kept": query_kept(request.GET),
        "back_url": f"{table_url(shown)}?{query_kept(request.GET)}",
        "own": bool(own),
        "chosen": [
            {
                "key": one.key,
                "label": OWN.get(one.key, one.column.key),
                "kind": NOUNS.get(one.column.kind, ""),
                "pinned": one.pinned,
            }
            for one in kept
        ],
        "widths": [f"{one.width} {one.key}" for one in kept if one.width],
        "groups": [
            (title, [{"key": key, "label": label} for key, label in rows if key not in chosen])
            for title, rows in groups
        ],
    }
    if shown is not None and may_change(person(request), [shown]):
        context["goals"] = Experiment.Goal.choices
        context["metric_names"] = keys_of("metrics", ids)
    return render(request, "experiments/columns.html", context)


@login_required
@require_POST
def layout(request: HttpRequest) -> HttpResponse:
    form = LayoutForm(request.POST)
    _must(form)
    shown = experiment_asked(request, form.cleaned_data["experiment"])
    keys, pinned, widths = form.layout()
    if "reset" in request.POST:
        keys = []
    layout_save(
        user=person(request), experiment_id=shown.pk if shown else "", columns=keys, pinned=pinned, widths=widths
    )
    if request.headers.get("X-Requested-With") == "fetch":
        return HttpResponse(status=204)
    if "up" in request.POST or "down" in request.POST:
        ident = shown.pk if shown else ""
        return redirect(f"{reverse('experiments:columns')}?{query_kept(_kept(request))}&experiment={ident}")
    return _back(request, shown, "column")


@login_required
@require_POST
def baseline(request: HttpRequest) -> HttpResponse:
    """Pin the run that others are compared with; without one, unpin it."""
    form = BaselineForm(request.POST)
    _must(form)
    shown = experiment_asked(request, form.cleaned_data["experiment"])
    run_id = form.cleaned_data["run"]
    if run_id:
        run_id = _runs(request, [run_id])[0].run_id
    baseline_set(user=person(request), experiment_id=shown.pk if shown else "", run_id=run_id)
    return _back(request, shown)


@login_required
@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Compare, draw, export, tag, archive or restore the runs that are selected."""
    shown = experiment_asked(request, request.POST.get("experiment", ""))
    action = request.POST.get("action", "")
    form = TagForm(request.POST) if action == "tag" else ChosenForm(request.POST)
    if action not in {"tag", "archive", "restore", *LOOKS, *EXPORTS}:
        raise InvalidInput(
            "Say what is to be done: compare, charts, export-csv, export-parquet, tag, archive or restore."
        )
    if not form.is_valid():
        messages.error(request, " ".join(str(one) for found in form.errors.values() for one in found))
        return _back(request, shown)
    if action in LOOKS:
        return _look(action, shown, form.cleaned_data["run"])
    found = _runs(request, form.cleaned_data["run"])
    user = person(request)
    if action in EXPORTS:
        return _export(request, EXPORTS[action], shown, found)
    try:
        if action == "tag":
            key, value = form.cleaned_data["key"], form.cleaned_data["value"]
            said = f"{_runs_said(runs_tag(actor=user, runs=found, key=key, value=value))} tagged {key}."
        elif action == "archive":
            said = f"{_runs_said(runs_archive(actor=user, runs=found))} archived. They are under Archived."
        else:
            said = f"{_runs_said(runs_restore(actor=user, runs=found))} restored."
    except NotAllowed:
        raise
    except UserError as error:
        told = " ".join(one for found in error.errors.values() for one in found)
        messages.error(request, told or str(error))
        return _back(request, shown)
    messages.success(request, said)
    return _back(request, shown)


def _look(action: str, shown: Experiment | None, run_ids: list[str]) -> HttpResponse:
    """To the page of the runs that are selected, which has an address of its own."""
    name = "experiments:experiment-charts" if action == "charts" and shown else LOOKS[action]
    address = reverse(name, args=[shown.pk] if action == "charts" and shown else [])
    return redirect(f"{address}?{urlencode([('run', run_id) for run_id in run_ids])}")


def _export(request: HttpRequest, form: str, shown: Experiment | None, runs: list[Run]) -> HttpResponse:
    """To the file of the runs that are selected, in the order and with the columns of the table."""
    if len(runs) > MOST_EXPORTED:
        told = f"At most {MOST_EXPORTED} selected runs make a file. Export above the table takes all of the filter."
        messages.error(request, told)
        return _back(request, shown)
    ids = ", ".join(f"'{run.run_id}'" for run in runs)
    asked = {
        "format": form,
        "columns": "shown",
        "experiment": shown.pk if shown else "",
        "filter": f"run_id IN ({ids})",
        "ordering": _kept(request).get("ordering", ""),
        "archived": "1" if runs[0].archived else "",
    }
    return redirect(f"{reverse('experiments:export')}?{urlencode(asked)}")


def _runs_said(count: int) -> str:
    return f"{count:,} run{' is' if count == 1 else 's are'}"


def _runs(request: HttpRequest, run_ids: list[str]) -> list[Run]:
    """Raises `Http404` where any of them is not there or not the person's to see."""
    rows = Run.objects.visible_to(person(request)).filter(run_id__in=run_ids).select_related("experiment__team")
    found = list(rows.defer("haystack"))
    if len(found) != len(run_ids):
        raise Http404
    return found


@login_required
@require_POST
def note(request: HttpRequest) -> HttpResponse:
    """A note written in its cell; answered with the cell's text, or with what somebody else wrote since (409)."""
    run = _runs(request, [request.POST.get("run", "")[:33].replace("\0", "")])[0]
    user = person(request)
    if not may_change(user, [run.experiment]):
        raise NotAllowed(WHAT_MEMBERS_DO)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return HttpResponse(" ".join(form.errors["note"]), status=422, content_type="text/plain; charset=utf-8")
    before = request.POST.get("before")
    seen = None if before is None else note_mark(before)
    try:
        run_note_write(run=run, actor=user, note=form.cleaned_data["note"], seen=seen)
    except NoteChanged as error:
        return HttpResponse(error.now, status=error.status, content_type="text/plain; charset=utf-8")
    return HttpResponse(form.cleaned_data["note"], content_type="text/plain; charset=utf-8")


@login_required
@require_POST
def view_new(request: HttpRequest) -> HttpResponse:
    form = SavedViewForm(request.POST)
    shown = experiment_asked(request, request.POST.get("experiment", ""))
    if not form.is_valid():
        messages.error(request, " ".join(str(one) for found in form.errors.values() for one in found))
        return _back(request, shown)
    given: dict[str, Any] = form.cleaned_data
    user = person(request)
    team = Team.objects.visible_to(user).filter(slug=given["team"]).first() if given["team"] else None
    query = query_kept(QueryDict(given["query"]))
    try:
        row = view_save(
            actor=user, name=given["name"], query=query, experiment=shown, team=team, shared=given["shared"]
        )
    except InvalidInput as error:
        messages.error(request, " ".join(one for found in error.errors.values() for one in found))
        return _back(request, shown)
    messages.success(request, f"{row.name} is saved.")
    return _back(request, shown)


@login_required
@require_safe
def view_open(request: HttpRequest, pk: UUID) -> HttpResponse:
    """A view by its own address, which keeps when its query changes."""
    row = _view(request, pk)
    shown = experiment_asked(request, row.experiment_id)
    return redirect(f"{table_url(shown)}?{row.query}")


@login_required
@require_POST
def view_remove(request: HttpRequest, pk: UUID) -> HttpResponse:
    row = _view(request, pk)
    view_delete(actor=person(request), view=row)
    messages.success(request, f"{row.name} is deleted.")
    shown = Experiment.objects.visible_to(person(request)).filter(pk=row.experiment_id).first()
    return _back(request, shown)


def _view(request: HttpRequest, pk: UUID) -> SavedView:
    row = SavedView.objects.visible_to(person(request)).filter(pk=pk).select_related("owner").first()
    if row is None:
        raise Http404
    return row


def _must(form: Form) -> None:
    """Fields that only our own pages fill: what is wrong with them is no message beside one."""
    if not form.is_valid():
        raise InvalidInput(errors={name: [str(one) for one in found] for name, found in form.errors.items()})
