"""Every point of curves as a file, for those that a chart shows a sample of."""

import csv
import io
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from apps.core.rates import rate_check
from apps.experiments.exporting import FORMULA
from apps.experiments.gateway.histories import history_pages
from apps.experiments.models import Run
from apps.experiments.selectors.charts import runs_chosen

HEAD = ("run_id", "run", "metric", "step", "time", "value")


@login_required
@require_safe
def points(request: HttpRequest) -> HttpResponseBase:
    """`?run=…&metric=…`: CSV of everything that up to 20 runs logged of a metric, written while MLflow is read."""
    rate_check(scope="export", user_id=request.user.pk)
    runs = runs_chosen(request.user, request.GET.getlist("run"))
    metric = request.GET.get("metric", "")
    if not runs or not 0 < len(metric) <= 250:
        raise Http404
    lines = csv_lines(runs, metric)
    # The first page is read before anything is answered, so that an MLflow that is away is told as such.
    lines = chain([next(lines)], lines)
    served = _one_by_one(lines) if isinstance(request, ASGIRequest) else lines
    response = StreamingHttpResponse(served, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="curves.csv"'
    response["Cache-Control"] = "no-store"
    return response


def csv_lines(runs: Sequence[Run], metric: str) -> Iterator[str]:
    """Some thousand lines at a time; times are ISO 8601 in UTC."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(HEAD)
    for run in runs:
        named = (run.run_id, _text(run.name or run.run_id[:8]), _text(metric))
        for page in history_pages(run.run_id, metric):
            writer.writerows((*named, step, _moment(stamp), value) for step, stamp, value in page)
            yield _taken(buffer)
    yield _taken(buffer)


def _text(text: str) -> str:
    """What a spreadsheet would take for a formula stays a text."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _moment(stamp: int) -> str:
    try:
        return datetime.fromtimestamp(stamp / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return str(stamp)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


async def _one_by_one(lines: Iterator[str]) -> AsyncIterator[Any]:
    """Each piece made when the one before it was sent."""
    while (piece := await sync_to_async(lambda: next(lines, None))()) is not None:
        yield piece
