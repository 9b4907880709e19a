"""`/api/v1/experiments/runs/`: the runs table for scripts, with its filter language and its orders."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, QueryDict
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from apps.accounts.requests import person_of
from apps.core.api.idempotency import IdempotentWrites
from apps.core.api.pagination import CountedCursorPagination
from apps.core.exceptions import InvalidInput
from apps.experiments.api.run_detail import RunDetailActions
from apps.experiments.api.serializers import RunGroupingSerializer, RunSerializer, TagSerializer
from apps.experiments.models import ID_LENGTH, Experiment, Run
from apps.experiments.selectors.columns import column_read, values_of, values_of_columns
from apps.experiments.selectors.groups import MOST_METRICS, groups_of
from apps.experiments.selectors.listed import ListedRun, runs_listed
from apps.experiments.selectors.runs import RunPage, RunQuery, run_query
from apps.experiments.services.bulk import runs_archive, runs_restore, runs_tag

ORDER = "`metrics.auc`, `-params.lr`, `tags.stage`, `-started_at`, `duration` …; lacking values and NaN come last."
FILTER = OpenApiParameter("filter", str, description="In the language of the runs table, which holds MLflow's.")
EXPERIMENT = OpenApiParameter("experiment", str, description="Id of one experiment.")
TEAM = OpenApiParameter("team", str, description="Slug of one team.")
ARCHIVED = OpenApiParameter("archived", bool, description="Those that are archived instead of the others.")
SCOPE = [FILTER, EXPERIMENT, TEAM, ARCHIVED]
COLUMN = OpenApiParameter(
    "column", str, many=True,
    description="Metrics, params and tags to be shown (`metrics.auc`); all by default, to 20,000 values of a kind.",
)  # fmt: skip
AWAY = OpenApiResponse(description="The MLflow server does not answer just now.")


class RunPagination(CountedCursorPagination):
    """Pages of the query itself, whose orders are not fields of one table."""

    def links(self, request: Request, page: RunPage) -> tuple[str | None, str | None]:
        address = request.build_absolute_uri()
        return tuple(  # type: ignore[return-value]
            replace_query_param(address, "cursor", cursor) if cursor else None for cursor in (page.next, page.previous)
        )

    def size(self, request: Request) -> int:
        return self._size(request)

    def counts(self, request: Request) -> bool:
        return self._is_counted(request, None)


class RunViewSet(RunDetailActions, IdempotentWrites, viewsets.GenericViewSet[Run]):
    serializer_class = RunSerializer
    queryset = Run.objects.none()
    pagination_class = RunPagination
    filter_backends = ()
    lookup_field = "run_id"
    lookup_value_regex = "[0-9a-zA-Z]{1,32}"

    def get_queryset(self) -> QuerySet[Run]:
        rows = Run.objects.visible_to(person_of(self.request.user)).select_related("experiment__team")
        return rows.defer("haystack")

    def _query(self, request: Request) -> RunQuery:
        """Raises `FilterInvalid`, `InvalidInput` for an order, 404 for an experiment that is not the person's."""
        user, get = person_of(request.user), request.query_params
        ident, found = get.get("experiment", ""), None
        if ident:
            rows = Experiment.objects.visible_to(user).filter(pk=ident) if len(ident) <= ID_LENGTH else None
            found = rows.first() if rows is not None else None
            if found is None:
                raise Http404
        return run_query(user, get, found)

    def _shown(self, runs: list[ListedRun], get: QueryDict) -> Any:
        named = [column for column in map(column_read, get.getlist("column")) if column is not None]
        values = values_of_columns(runs, named) if named else values_of(runs, metrics=None, params=None, tags=None)
        return RunSerializer(runs, many=True, context={"values": values}).data

    @extend_schema(
        summary="Runs you may see",
        parameters=[*SCOPE, OpenApiParameter("ordering", str, description=ORDER), COLUMN],
        responses=RunSerializer(many=True),
    )
    def list(self, request: Request) -> Response:
        query, pages = self._query(request), RunPagination()
        page = query.page(
            cursor=request.query_params.get("cursor", ""),
            size=pages.size(request),
            counted=pages.counts(request),
        )
        following, previous = pages.links(request, page)
        results = self._shown(page.rows, request.query_params)
        return Response({"results": results, "next": following, "previous": previous, "count": page.count})

    @extend_schema(summary="One run", responses=RunSerializer)
    def retrieve(self, request: Request, run_id: str = "") -> Response:
        found = runs_listed([self.get_object().pk])
        if not found:
            raise Http404
        return Response(self._shown(found, request.query_params)[0])

    @extend_schema(
        summary="Runs summed up by a parameter or tag",
        parameters=[
            *SCOPE,
            OpenApiParameter("by", str, required=True, description="`params.optimizer` or `tags.stage`."),
            OpenApiParameter("metric", str, many=True, description="Up to five metrics to be summed up."),
        ],
        responses=RunGroupingSerializer,
        filters=False,
    )
    @action(detail=False, methods=["get"], pagination_class=None)
    def groups(self, request: Request) -> Response:
        column = column_read(request.query_params.get("by", ""))
        if column is None or column.kind not in {"params", "tags"}:
            raise InvalidInput(errors={"by": ["Name a parameter or tag, for example params.optimizer."]})
        metrics = [name for name in request.query_params.getlist("metric") if 0 < len(name) <= 250][:MOST_METRICS]
        return Response(RunGroupingSerializer(groups_of(self._query(request).rows(), column, metrics)).data)

    @extend_schema(summary="Set a tag", request=TagSerializer, responses={200: RunSerializer, 503: AWAY})
    @action(detail=True, methods=["post"])
    def tag(self, request: Request, run_id: str = "") -> Response:
        run = self.get_object()
        given = TagSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        runs_tag(actor=person_of(request.user), runs=[run], **given.validated_data)
        return self.retrieve(request, run_id)

    @extend_schema(summary="Archive a run", request=None, responses={200: RunSerializer, 503: AWAY})
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, run_id: str = "") -> Response:
        runs_archive(actor=person_of(request.user), runs=[self.get_object()])
        return self.retrieve(request, run_id)

    @extend_schema(summary="Restore an archived run", request=None, responses={200: RunSerializer, 503: AWAY})
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, run_id: str = "") -> Response:
        runs_restore(actor=person_of(request.user), runs=[self.get_object()])
        return self.retrieve(request, run_id)
