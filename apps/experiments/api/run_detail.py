"""What the API does with one run: its files, its note, its lineage, and launching its environment again.

A part of the runs' viewset, whose `lookup_field` is `run_id`.
"""

from typing import Any
from urllib.parse import quote, urlencode

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.requests import person_of
from apps.core.rates import rate_check
from apps.environments.api.serializers import EnvironmentSerializer
from apps.experiments.gateway.artifacts import Source, files_list, path_check
from apps.experiments.recreation import Recreation, recreation_of
from apps.experiments.run_forms import NOTE_CHARACTERS
from apps.experiments.services.recreate import run_recreate
from apps.experiments.services.run_notes import note_mark, run_note_write
from apps.experiments.views.run_files import file_answer, model_is_of
from apps.experiments.views.run_finding import RunPage, run_page_of, writing_require

PATH = OpenApiParameter("path", str, description="Of a folder or file, from the run's own folder.")
MODEL = OpenApiParameter("model", str, description="Id of a logged model of the run, whose files are meant.")
CHANGED = OpenApiResponse(description="Somebody else has changed the note meanwhile.")
AWAY = OpenApiResponse(description="The MLflow server does not answer just now.")


class ArtifactSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    is_folder = serializers.BooleanField()
    size = serializers.IntegerField(allow_null=True)
    download = serializers.CharField(allow_null=True, help_text="Address of the file; null for folders.")


class ArtifactListSerializer(serializers.Serializer[Any]):
    results = ArtifactSerializer(many=True)


class RunNoteSerializer(serializers.Serializer[Any]):
    note = serializers.CharField(allow_blank=True, max_length=NOTE_CHARACTERS, trim_whitespace=False)
    before = serializers.CharField(
        allow_blank=True,
        trim_whitespace=False,
        required=False,
        write_only=True,
        help_text="The note that this one was made from: where MLflow has another by now, nothing is written (409).",
    )


class LineageFactSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField(allow_blank=True)
    standing = serializers.CharField(help_text="verified, claimed, disagrees or unknown")
    note = serializers.CharField(allow_blank=True)


class RunLineageSerializer(serializers.Serializer[Any]):
    facts = LineageFactSerializer(many=True)


class RecreationPointSerializer(serializers.Serializer[Any]):
    label = serializers.CharField()  # type: ignore[assignment]
    value = serializers.CharField(allow_blank=True)
    why = serializers.CharField(allow_blank=True)


class RecreationSerializer(serializers.Serializer[Any]):
    possible = serializers.BooleanField()
    stops = serializers.ListField(child=serializers.CharField())
    same = RecreationPointSerializer(many=True)
    different = RecreationPointSerializer(many=True)


class RecreateSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(required=False, allow_blank=True, max_length=60)
    secrets = serializers.DictField(required=False, help_text="Sensitive inputs, given again.")


class RunDetailActions:
    """`request` and `get_object` are the viewset's own; every action looks the run up for the person who asks."""

    request: Request

    def _page(self, run_id: str) -> RunPage:
        return run_page_of(person_of(self.request.user), run_id)

    def _source(self, page: RunPage) -> tuple[Source, str]:
        path = path_check(self.request.query_params.get("path", ""))
        model_id = self.request.query_params.get("model", "")
        if model_id and not model_is_of(page.run, model_id):
            raise Http404
        return Source(page.run.run_id, model_id), path

    @extend_schema(
        summary="Files of a run", parameters=[PATH, MODEL], responses={200: ArtifactListSerializer, 503: AWAY}
    )
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def artifacts(self, request: Request, run_id: str = "") -> Response:
        page = self._page(run_id)
        source, path = self._source(page)
        rows = [
            {
                "path": entry.path,
                "is_folder": entry.is_folder,
                "size": entry.size,
                "download": None if entry.is_folder else _download(run_id, source, entry.path),
            }
            for entry in files_list(source, path)
        ]
        return Response({"results": rows})

    @extend_schema(
        summary="Download a file of a run",
        parameters=[PATH, MODEL],
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    @action(detail=True, methods=["get"], url_path="artifacts/download", filter_backends=[], pagination_class=None)
    def download(self, request: Request, run_id: str = "") -> HttpResponse:
        source, path = self._source(self._page(run_id))
        return file_answer(request, source, path)

    @extend_schema(
        summary="Write the note of a run",
        request=RunNoteSerializer,
        responses={200: RunNoteSerializer, 409: CHANGED, 503: AWAY},
    )
    @action(detail=True, methods=["patch"])
    def note(self, request: Request, run_id: str = "") -> Response:
        page = self._page(run_id)
        writing_require(page.user, page.experiment)
        asked = RunNoteSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        note, before = asked.validated_data["note"], asked.validated_data.get("before")
        seen = None if before is None else note_mark(before)
        run_note_write(run=page.run, actor=page.user, note=note, seen=seen)
        return Response({"note": note})

    @extend_schema(summary="What a run ran on, and what of it is verified", responses=RunLineageSerializer)
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def lineage(self, request: Request, run_id: str = "") -> Response:
        facts = self._page(run_id).lineage.facts
        return Response(RunLineageSerializer({"facts": facts}).data)

    @extend_schema(
        summary="Launch the environment of a run again",
        description="GET says before what will be the same and what cannot.",
        request=RecreateSerializer,
        responses={200: RecreationSerializer, 201: EnvironmentSerializer},
    )
    @action(detail=True, methods=["get", "post"], filter_backends=[], pagination_class=None)
    def recreate(self, request: Request, run_id: str = "") -> Response:
        page = self._page(run_id)
        found = recreation_of(user=page.user, detail=page.detail, lineage=page.lineage)
        if request.method != "POST":
            return Response(_recreation_shown(found))
        asked = RecreateSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        rate_check(scope="launch", user_id=page.user.pk)
        environment = run_recreate(
            run=page.run,
            actor=page.user,
            recreation=found,
            name=asked.validated_data.get("name", ""),
            secrets=asked.validated_data.get("secrets", {}),
        )
        return Response(EnvironmentSerializer(environment, context={"request": request}).data, status=201)


def _recreation_shown(found: Recreation) -> dict[str, Any]:
    return dict(
        RecreationSerializer(
            {"possible": found.possible, "stops": found.stops, "same": found.same, "different": found.different}
        ).data
    )


def _download(run_id: str, source: Source, path: str) -> str:
    asked = {"path": path, **({"model": source.model_id} if source.model_id else {})}
    return f"/api/v1/experiments/runs/{run_id}/artifacts/download/?{urlencode(asked, quote_via=quote)}"
