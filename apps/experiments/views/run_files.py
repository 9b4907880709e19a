"""A run's files: a tree that opens folder by folder, previews, downloads of any size, and pages kept in a box."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from csp.decorators import csp_update
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from apps.core.passing_on import PassedOn
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway.artifacts import (
    Entry,
    Source,
    credentials_for,
    file_address,
    file_find,
    file_read,
    files_list,
    path_check,
)
from apps.experiments.gateway.run_detail import LoggedModel, model_read, models_read
from apps.experiments.models import Run
from apps.experiments.previews import IMAGES, NOTEBOOK_BYTES, PAGES, Preview, extension_of, preview_make
from apps.experiments.previews.notebooks import notebook_page
from apps.experiments.views.run_finding import RunPage, run_known, run_page

SHOWN = 500  # entries of a folder at once
# What a page of somebody's may do: run its own scripts, in an origin that is nobody's, and talk to nobody.
BOXED = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob: data:; "
    "style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; media-src data: blob:; worker-src blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


@dataclass
class Node:
    """An entry of the tree; `children` is None where the folder is not open yet."""

    entry: Entry
    url: str
    tree_url: str = ""
    children: list["Node"] | None = None
    more_url: str = ""
    left: int = 0
    selected: bool = False


@dataclass
class Root:
    """The run's own folder, or that of one of its models."""

    label: str
    source: Source
    nodes: list[Node] = field(default_factory=list)
    left: int = 0
    more_url: str = ""


@login_required
@require_safe
@csp_update({"frame-src": ["'self'"]})
def artifacts(request: HttpRequest, run_id: str) -> HttpResponse:
    """The tree, open down to `?path=`, with a preview of what is there. Status 400 says why a path is refused."""
    page = run_page(request, run_id)
    model_id, path = request.GET.get("model", ""), request.GET.get("path", "")
    path = path_check(path)
    context: dict[str, Any] = {**page.frame("run-artifacts"), "roots": [], "path": path, "files_away": page.away}
    if not (page.away or page.gone):
        try:
            context |= _chosen(page, model_id, path)
        except TrackerAway:
            context["files_away"] = True
    return render(request, "experiments/run_artifacts.html", context, status=404 if context.get("missing") else 200)


def _chosen(page: RunPage, model_id: str, path: str) -> dict[str, Any]:
    models = models_read(page.detail)
    if model_id and model_id not in {model.model_id for model in models}:
        raise Http404
    source = Source(page.run.run_id, model_id)
    roots = [_root(page, Source(page.run.run_id), "Files of the run", path if not model_id else None)]
    for model in models:
        own = Source(page.run.run_id, model.model_id)
        roots.append(_root(page, own, _model_label(model), path if model_id == model.model_id else None))
    found: dict[str, Any] = {"roots": [root for root in roots if root.nodes or root.source.model_id], "model": model_id}
    if not path:
        return found
    entry = file_find(source, path)
    if entry is None:
        return {**found, "missing": path}
    found["entry"] = entry
    if not entry.is_folder:
        found |= _previewed(page, source, entry)
    return found


def _model_label(model: LoggedModel) -> str:
    return f"Model {model.name}" if model.name else f"Model {model.model_id}"


def _previewed(page: RunPage, source: Source, entry: Entry) -> dict[str, Any]:
    try:
        preview = preview_make(source, entry)
    except TrackerRefused:
        preview = Preview("none", why="MLflow lists this file, but does not give it.")
    return {
        "preview": preview,
        "download_url": _file_url(page.run, source, entry.path),
        "image_url": _file_url(page.run, source, entry.path, show="1"),
        "frame_url": _frame_url(page.run, source, entry.path),
    }


def _root(page: RunPage, source: Source, label: str, path: str | None) -> Root:
    nodes, left, more = _nodes(page.run, source, "", path)
    return Root(label, source, nodes, left, more)


def _nodes(run: Run, source: Source, folder: str, path: str | None, begin: int = 0) -> tuple[list[Node], int, str]:
    """Entries of a folder from `begin` on; the one that leads to `path` is open, and so on down to it."""
    try:
        listed = files_list(source, folder)
    except TrackerRefused as refused:
        if not refused.absent:
            raise
        listed = []
    nodes = []
    for entry in listed[begin : begin + SHOWN]:
        node = Node(entry, _url(run, "artifacts", source, entry.path), selected=entry.path == path)
        if entry.is_folder:
            node.tree_url = _url(run, "artifacts/tree", source, entry.path)
            if path is not None and (path == entry.path or path.startswith(entry.path + "/")):
                node.children, node.left, node.more_url = _nodes(run, source, entry.path, path)
        nodes.append(node)
    left = max(0, len(listed) - begin - SHOWN)
    more = _url(run, "artifacts/tree", source, folder, begin=str(begin + SHOWN)) if left else ""
    return nodes, left, more


def _url(run: Run, what: str, source: Source, path: str, **more: str) -> str:
    asked = {**({"model": source.model_id} if source.model_id else {}), **({"path": path} if path else {}), **more}
    return f"/experiments/runs/{run.run_id}/{what}/?{urlencode(asked, quote_via=quote)}"


def _file_url(run: Run, source: Source, path: str, **more: str) -> str:
    return _url(run, "artifacts/file", source, path, **more)


def _frame_url(run: Run, source: Source, path: str, **more: str) -> str:
    return _url(run, "artifacts/frame", source, path, **more)


@login_required
@require_safe
def tree(request: HttpRequest, run_id: str) -> HttpResponse:
    """What lies in one folder, for the tree of the page; `begin` goes on where a long one was cut."""
    run, source, path = _asked(request, run_id)
    begin = request.GET.get("begin", "0")
    nodes, left, more = _nodes(run, source, path, None, int(begin) if begin.isdigit() and len(begin) < 8 else 0)
    return render(request, "experiments/_tree.html", {"nodes": nodes, "left": left, "more_url": more})


@login_required
@require_safe
def file(request: HttpRequest, run_id: str) -> HttpResponse:
    """The file itself, streamed from MLflow whatever its size; ranges are passed on. `show` is for pictures alone."""
    _, source, path = _asked(request, run_id)
    return file_answer(request, source, path, show="show" in request.GET)


def file_answer(request: Any, source: Source, path: str, *, show: bool = False) -> PassedOn:
    """A download, or a picture to be shown. Raises `Http404` for what is no file of the run's."""
    entry = file_find(source, path)
    if entry is None or entry.is_folder:
        raise Http404
    kind = IMAGES.get(extension_of(path)) if show else None
    disposition = "inline" if kind else "attachment"
    address = file_address(source, path, entry)
    response = PassedOn(
        address,
        request=request,
        asked=credentials_for(address),
        content_type=kind or "application/octet-stream",
    )
    response["Content-Disposition"] = f"{disposition}; filename*=UTF-8''{quote(entry.name, safe='')}"
    response["Cache-Control"] = "private, no-cache"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'; frame-ancestors 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    return response


@login_required
@require_safe
@xframe_options_sameorigin
def frame(request: HttpRequest, run_id: str) -> HttpResponse:
    """A page, a drawing, or such an output of a notebook (`cell`, `place`): for a frame in a box, never for a tab."""
    _, source, path = _asked(request, run_id)
    if request.headers.get("Sec-Fetch-Dest", "iframe") not in ("iframe", "frame"):
        raise Http404
    kind = PAGES.get(extension_of(path))
    response: HttpResponse
    if kind:
        entry = file_find(source, path)
        if entry is None or entry.is_folder:
            raise Http404
        address = file_address(source, path, entry)
        response = PassedOn(address, request=request, asked=credentials_for(address), content_type=kind)
    elif extension_of(path) == "ipynb":
        response = _of_notebook(request, source, path)
    else:
        raise Http404
    response["Content-Security-Policy"] = BOXED
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-cache"
    return response


def _of_notebook(request: HttpRequest, source: Source, path: str) -> HttpResponse:
    numbers = [request.GET.get(name, "") for name in ("cell", "place")]
    if not all(number.isdigit() and len(number) < 6 for number in numbers):
        raise Http404
    try:
        found = notebook_page(file_read(source, path, most=NOTEBOOK_BYTES), int(numbers[0]), int(numbers[1]))
    except TrackerRefused:
        found = None
    if found is None:
        raise Http404
    kind, text = found
    return HttpResponse(text, content_type=f"{kind}; charset=utf-8")


def _asked(request: HttpRequest, run_id: str) -> tuple[Run, Source, str]:
    """The run, whose files are meant, and a path that leads nowhere else."""
    run = run_known(request, run_id)
    path = path_check(request.GET.get("path", ""))
    model_id = request.GET.get("model", "")
    if model_id and not model_is_of(run, model_id):
        raise Http404
    return run, Source(run.run_id, model_id), path


def model_is_of(run: Run, model_id: str) -> bool:
    """Whether a logged model came out of this run, and lies in its experiment: a run may name any model as its own."""
    if not model_id.startswith("m-") or len(model_id) > 64:
        return False
    model = model_read(model_id)
    return (
        model is not None
        and model.experiment_id == run.experiment_id
        and (model.source_run_id == run.run_id or model_id in run.model_ids)
    )
