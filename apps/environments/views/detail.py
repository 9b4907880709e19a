"""The page of one environment: its tabs, the fragments that refresh themselves, its logs."""

from typing import Any
from uuid import UUID

from django.conf import settings as configured
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.core.rates import rate_check
from apps.environments.models import Environment
from apps.environments.selectors import activity_of, changes_of, is_serving, outputs_shown, resources_shown
from apps.environments.views.finding import find, find_change
from apps.environments.views.opening import asked_path, waiting_context
from apps.environments.views.presenting import EnvironmentPage
from apps.environments.views.settings import settings_context
from apps.environments.words import change_word, level_shown
from apps.provisioning.models import Change, LogLine
from apps.provisioning.selectors import log_lines, log_removed, log_tail

STREAMS = {"build": "Build", "application": "Application"}
TAIL = 500
GAP = 2000
FRAGMENTS = {
    "header": "components/page_header.html",
    "overview": "environments/_overview.html",
    "activity": "environments/_activity.html",
    "resources": "environments/_resources.html",
}


def _render(request: HttpRequest, page: EnvironmentPage, tab: str, **context: Any) -> HttpResponse:
    row = page.environment
    shown = {
        "environment": row,
        "page": page,
        "header": page.header(),
        "overview": page.overview(),
        "tabs": page.tabs(tab),
        "destroy": page.destroy_dialog() if "environments:destroy" in page.granted else None,
        "waiting": _open_when_ready(request, row),
        **context,
    }
    return render(request, f"environments/{tab}.html", shown)


def _open_when_ready(request: HttpRequest, environment: Environment) -> dict[str, Any] | None:
    """This tab moves on to the application once it answers: asked for by "Start and open" and after a launch.

    A page that is loaded when it runs already stays, so that going back from the application does not lead there again.
    """
    if "open" not in request.GET or environment.owner_id != request.user.pk or is_serving(environment):
        return None
    return waiting_context(environment, asked_path(request.GET["open"], environment))


@login_required
@require_safe
def detail(request: HttpRequest, pk: UUID) -> HttpResponse:
    page = EnvironmentPage(find(request, pk), request.user)  # type: ignore[arg-type]
    return _render(request, page, "detail", **_activity(page))


@login_required
@require_safe
def logs(request: HttpRequest, pk: UUID) -> HttpResponse:
    page = EnvironmentPage(find(request, pk), request.user)  # type: ignore[arg-type]
    stream = request.GET.get("stream", "")
    if stream not in STREAMS:
        stream = "application" if page.environment.status == Environment.Status.RUNNING else "build"
    base = reverse("environments:logs", args=[pk])
    streams = [
        {"label": label, "url": f"{base}?stream={name}", "active": name == stream} for name, label in STREAMS.items()
    ]
    return _render(request, page, "logs", streams=streams, log=log_context(page.environment, stream))


@login_required
@require_safe
def resources(request: HttpRequest, pk: UUID) -> HttpResponse:
    page = EnvironmentPage(find(request, pk), request.user)  # type: ignore[arg-type]
    return _render(request, page, "resources", **_resources(page))


@login_required
@require_safe
def settings(request: HttpRequest, pk: UUID) -> HttpResponse:
    page = EnvironmentPage(find(request, pk), request.user)  # type: ignore[arg-type]
    return _render(request, page, "settings", **settings_context(page))


@login_required
@require_safe
def fragment(request: HttpRequest, pk: UUID, name: str) -> HttpResponse:
    """A part of the page, as it is now."""
    if name not in FRAGMENTS:
        raise Http404
    page = EnvironmentPage(find(request, pk), request.user)  # type: ignore[arg-type]
    context: dict[str, Any] = {"environment": page.environment, "page": page}
    if name == "header":
        context |= page.header()
    elif name == "overview":
        context["overview"] = page.overview()
    elif name == "activity":
        context |= _activity(page)
    else:
        context |= _resources(page)
    return render(request, FRAGMENTS[name], context)


def _activity(page: EnvironmentPage) -> dict[str, Any]:
    row = page.environment
    changes = [
        {
            "change": change,
            "word": change_word(change),
            "url": reverse("environments:change", args=[row.pk, change.pk]),
            "by": change.requested_by.display_name if change.requested_by else "Slipway",
        }
        for change in changes_of(row)
    ]
    return {
        "changes": changes,
        "entries": [_entry(event) for event in activity_of(row)],
        "activity_live": page.fragment("activity"),
    }


WORDS = {
    "create": ("launched it", "rocket"),
    "stop": ("asked to stop it", "player-stop"),
    "start": ("started it", "player-play"),
    "update": ("changed its settings", "adjustments"),
    "destroy": ("asked to destroy it", "trash"),
    "refresh": ("asked for a check", "refresh"),
    "extend": ("moved its stop time", "clock"),
    "connect": ("connected to it", "plug"),
    "open": ("opened it", "external-link"),
    "create-done": ("It is running", "circle-check"),
    "start-done": ("It is running", "circle-check"),
    "stop-done": ("It has stopped", "player-stop"),
    "update-done": ("The change is done", "circle-check"),
    "destroy-done": ("It is destroyed", "trash"),
}


def _entry(event: Any) -> dict[str, Any]:
    """An audit event in words."""
    verb = event.action.rsplit(":", 1)[-1]
    text, icon = WORDS.get(verb, ("", "history"))
    if not text:
        kind, _, result = verb.partition("-")
        text = f"The {'launch' if kind == 'create' else kind} {result or 'was recorded'}".replace(
            "failed", "has failed"
        )
        icon = "circle-x" if result == "failed" else "history"
    if event.actor is not None:
        text = f"{event.actor.display_name} {text}"
    elif verb in ("stop", "create", "start", "update", "destroy", "refresh"):
        text = f"Slipway {text}"
    detail = event.after.get("reason", "")
    if event.after.get("break_glass"):
        detail = f"As platform engineer, for {event.after.get('owner')}. {detail}".strip()
    return {"text": text, "icon": icon, "at": event.at, "detail": detail}


def _resources(page: EnvironmentPage) -> dict[str, Any]:
    row = page.environment
    outputs = outputs_shown(row.workspace)
    descriptions = {output["name"]: output["description"] for output in row.module_version.interface["outputs"]}
    return {
        "resources": resources_shown(row),
        "outputs": [{"name": n, "value": v, "description": descriptions.get(n, "")} for n, v in outputs.items()],
        "resources_live": page.fragment("resources"),
    }


def log_context(environment: Environment, stream: str, change: Change | None = None) -> dict[str, Any]:
    """The last lines of a log and how it goes on, for `components/log.html`; with a change only its own lines."""
    change_id = change.pk if change else None
    ended = change is not None and not change.is_active
    tail = log_tail(workspace_id=environment.pk, stream=stream, limit=TAIL, change_id=change_id)
    cut = bool(tail) and tail[0].number > 1 and change is None
    earlier = cut and len(tail) == TAIL
    base = reverse("environments:log_lines", args=[environment.pk])
    suffix = f"&change={change_id}" if change_id else ""
    download = reverse("environments:log_download", args=[environment.pk])
    return {
        "id": f"log-{stream}",
        "title": f"{STREAMS[stream]} log",
        "topic": "" if ended else environment.topic,
        "stream": stream,
        "lines": [_line(line) for line in tail],
        "lines_url": f"{base}?stream={stream}{suffix}",
        "download_url": f"{download}?stream={stream}{suffix}" if tail else "",
        "earlier": earlier,
        "removed": log_removed(change) if change else cut and not earlier,
        "kept_days": configured.KEEP_LOG_DAYS,
    }


def _line(line: LogLine) -> dict[str, Any]:
    return {"n": line.number, "at": timezone.localtime(line.at), "level": level_shown(line.level), "text": line.text}


def _stream_and_change(request: HttpRequest, environment: Environment) -> tuple[str, UUID | None]:
    stream, change = request.GET.get("stream", ""), request.GET.get("change", "")
    if stream not in STREAMS:
        raise Http404
    if not change:
        return stream, None
    try:
        return stream, find_change(environment, UUID(change)).pk
    except ValueError:
        raise Http404 from None


@login_required
@require_safe
def log_lines_after(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Lines that a page has missed: `?stream=&after=<number>`, oldest first."""
    environment = find(request, pk)
    stream, change_id = _stream_and_change(request, environment)
    after = request.GET.get("after", "0")
    if not (after.isascii() and after.isdigit()) or len(after) > 9:
        raise Http404
    lines = log_lines(workspace_id=pk, stream=stream, after=int(after), limit=GAP, change_id=change_id)
    return JsonResponse({"lines": [{**_line(line), "at": line.at.isoformat()} for line in lines]})


@login_required
@require_safe
def log_download(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The whole log as text, streamed."""
    environment = find(request, pk)
    rate_check(scope="export", user_id=request.user.pk)
    stream, change_id = _stream_and_change(request, environment)
    rows = log_lines(workspace_id=pk, stream=stream, limit=1_000_000, change_id=change_id)
    text = (
        f"{line.at.isoformat(timespec='milliseconds')} {line.level:<5} {line.text}\n" for line in rows.iterator(2000)
    )
    response = StreamingHttpResponse(text, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{environment.slug}-{stream}.log"'
    return response  # type: ignore[return-value]
