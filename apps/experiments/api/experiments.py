"""`/api/v1/experiments/`: what there is to be run in, summed up."""

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.requests import person_of
from apps.core.api.idempotency import IdempotentWrites
from apps.experiments.api.serializers import ExperimentSerializer
from apps.experiments.models import Experiment
from apps.experiments.services.bulk import experiment_archive

AWAY = OpenApiResponse(description="The MLflow server does not answer just now.")


@extend_schema_view(
    list=extend_schema(
        summary="Experiments you may see",
        parameters=[
            OpenApiParameter("folder", str, description="Of this folder, not of those below it."),
            OpenApiParameter("team", str, description="Slug of one team."),
            OpenApiParameter("archived", bool, description="Those that are archived instead of the others."),
        ],
    ),
    retrieve=extend_schema(summary="One experiment"),
)
class ExperimentViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Experiment]
):
    serializer_class = ExperimentSerializer
    queryset = Experiment.objects.none()
    lookup_value_regex = "[0-9a-zA-Z]{1,32}"
    search_fields = ("name", "note")
    ordering_fields = ("name", "run_count", "last_run_at", "created_at", "best_value")
    ordering = ("-last_run_at",)

    def get_queryset(self) -> QuerySet[Experiment]:
        rows = Experiment.objects.visible_to(person_of(self.request.user)).select_related("team", "owner")
        if self.action != "list":
            return rows
        get = self.request.query_params
        rows = rows.filter(archived=get.get("archived", "").lower() in {"1", "true", "yes"})
        for word, field in (("folder", "folder"), ("team", "team__slug")):
            if word in get:
                rows = rows.filter(**{field: get[word]})
        return rows.defer("recent_values")

    @extend_schema(
        summary="Archive an experiment with its runs", request=None, responses={200: ExperimentSerializer, 503: AWAY}
    )
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: str = "") -> Response:
        experiment_archive(actor=person_of(request.user), experiment=self.get_object())
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)

    @extend_schema(
        summary="Restore an archived experiment", request=None, responses={200: ExperimentSerializer, 503: AWAY}
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: str = "") -> Response:
        experiment_archive(actor=person_of(request.user), experiment=self.get_object(), restore=True)
        return Response(self.get_serializer(self.get_queryset().get(pk=pk)).data)
