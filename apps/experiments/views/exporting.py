from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_safe

from apps.core.exceptions import InvalidInput
from apps.core.rates import rate_check
from apps.experiments.exporting import columns_exported, csv_stream, parquet_stream
from apps.experiments.selectors.columns import column_read
from apps.experiments.selectors.layout import layout_of
from apps.experiments.selectors.runs import RunQuery, run_query
from apps.experiments.views.finding import experiment_asked, person

TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


@login_required
@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """All runs of the table's query in its order; `columns=shown` for those of the table, else every column."""
    user = person(request)
    rate_check(scope="export", user_id=user.pk)
    shown = experiment_asked(request, request.GET.get("experiment", ""))
    query = run_query(user, request.GET, shown)
    asked = request.GET.getlist("column")
    if not asked and request.GET.get("columns") == "shown":
        asked = [one.key for one in layout_of(user, shown).columns]
    return answer(request, query, request.GET.get("format", "csv"), asked)


def answer(request: HttpRequest, query: RunQuery, form: str, asked: list[str]) -> StreamingHttpResponse:
    """Raises `InvalidInput` for another form than csv and parquet."""
    if form not in TYPES:
        raise InvalidInput(errors={"format": ["Give csv or parquet."]})
    columns = columns_exported(query, [key for key in asked if column_read(key) is not None])
    stream: Iterator[str | bytes] = csv_stream(query, columns) if form == "csv" else parquet_stream(query, columns)
    served = _one_by_one(stream) if isinstance(request, ASGIRequest) else stream
    response = StreamingHttpResponse(served, content_type=TYPES[form])
    name = f"runs-{query.experiment.pk if query.experiment else 'all'}-{timezone.localdate():%Y-%m-%d}.{form}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


async def _one_by_one(stream: Iterator[str | bytes]) -> AsyncIterator[str | bytes]:
    """Each chunk made when the one before it was sent; Django would first make all of them, to serve them at all."""
    while (piece := await sync_to_async(lambda: next(stream, None))()) is not None:
        yield piece
