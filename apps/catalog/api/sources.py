"""`/api/v1/module-sources/`, `/module-retrievals/` and `/module-uploads/`: registering modules by script."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from apps.catalog import services
from apps.catalog.api.serializers import (
    ModuleRetrievalSerializer,
    ModuleSourceSerializer,
    ModuleVersionSerializer,
    RetrieveSerializer,
    SourceChangeSerializer,
    SourceCreateSerializer,
    UploadSerializer,
)
from apps.catalog.models import ModuleRetrieval, ModuleSource, ModuleVersion
from apps.catalog.permissions import CatalogPermission, require
from apps.core.api.idempotency import IdempotentWrites
from apps.core.rates import rate_check

UUID_REGEX = "[0-9a-fA-F-]{32,36}"


def _require(request: Request) -> None:
    """Who neither keeps nor audits modules is not told that there are sources."""
    if not getattr(request.user, "sees_everything", False):
        raise Http404
    require(request.user, CatalogPermission.REGISTER)


def _read(request: Request, shape: Any) -> dict[str, Any]:
    asked = shape(data=request.data)
    asked.is_valid(raise_exception=True)
    read: dict[str, Any] = asked.validated_data
    return read


@extend_schema_view(
    list=extend_schema(summary="Git sources of modules"), retrieve=extend_schema(summary="One Git source")
)
class ModuleSourceViewSet(IdempotentWrites, viewsets.ReadOnlyModelViewSet[ModuleSource]):
    """For platform engineers; auditors may read. A credential is written and never answered."""

    serializer_class = ModuleSourceSerializer
    queryset = ModuleSource.objects.none()
    lookup_value_regex = UUID_REGEX
    search_fields = ("slug", "url")
    ordering_fields = ("slug", "created_at")
    ordering = ("slug",)

    def get_queryset(self) -> QuerySet[ModuleSource]:
        rows = ModuleSource.objects.visible_to(self.request.user).filter(kind=ModuleSource.Kind.GIT)
        return rows.select_related("created_by").defer("credential_cipher", "known_hosts")

    @extend_schema(summary="Add a Git source", request=SourceCreateSerializer, responses={201: ModuleSourceSerializer})
    def create(self, request: Request) -> Response:
        _require(request)
        source = services.source_create(actor=request.user, **_read(request, SourceCreateSerializer))
        return Response(self.get_serializer(source).data, status=201)

    @extend_schema(
        summary="Change a Git source", request=SourceChangeSerializer, responses={200: ModuleSourceSerializer}
    )
    def update(self, request: Request, pk: str = "") -> Response:
        row = self.get_object()
        _require(request)
        source = services.source_update(source=row, actor=request.user, **_read(request, SourceChangeSerializer))
        return Response(self.get_serializer(source).data)

    @extend_schema(summary="Remove a Git source; its versions stay", responses={204: OpenApiResponse()})
    def destroy(self, request: Request, pk: str = "") -> Response:
        row = self.get_object()
        _require(request)
        services.source_remove(source=row, actor=request.user)
        return Response(status=204)

    @extend_schema(
        summary="Retrieve the module from its source",
        request=RetrieveSerializer,
        responses={202: ModuleRetrievalSerializer},
    )
    @action(detail=True, methods=["post"], url_path="retrieve", url_name="retrieve")
    def retrieve_module(self, request: Request, pk: str = "") -> Response:
        row = self.get_object()
        _require(request)
        retrieval = services.retrieval_request(source=row, actor=request.user, **_read(request, RetrieveSerializer))
        return Response(ModuleRetrievalSerializer(retrieval).data, status=202)


@extend_schema_view(
    list=extend_schema(summary="Retrievals, newest first"), retrieve=extend_schema(summary="One retrieval")
)
class ModuleRetrievalViewSet(viewsets.ReadOnlyModelViewSet[ModuleRetrieval]):
    serializer_class = ModuleRetrievalSerializer
    queryset = ModuleRetrieval.objects.none()
    lookup_value_regex = UUID_REGEX
    filterset_fields = ("source", "status")
    ordering_fields = ("created_at",)
    ordering = ("-created_at",)

    def get_queryset(self) -> QuerySet[ModuleRetrieval]:
        rows = ModuleRetrieval.objects.visible_to(self.request.user).select_related("source", "version", "requested_by")
        heavy = ("archive", "interface", "readme", "changelog")
        return rows.defer("source__credential_cipher", *(f"version__{name}" for name in heavy))


class ModuleUploadViewSet(IdempotentWrites, mixins.CreateModelMixin, viewsets.GenericViewSet[ModuleVersion]):
    """Register a module from an archive, sent as multipart/form-data."""

    serializer_class = UploadSerializer
    queryset = ModuleVersion.objects.none()
    parser_classes = (MultiPartParser,)

    @extend_schema(
        summary="Register an archive as a draft",
        request={"multipart/form-data": UploadSerializer},
        responses={201: ModuleVersionSerializer, 200: ModuleVersionSerializer},
    )
    def create(self, request: Request) -> Response:
        _require(request)
        rate_check(scope="uploads", user_id=request.user.pk, default="60/h")
        asked = _read(request, UploadSerializer)
        archive = asked["archive"]
        version, is_new = services.module_register_upload(
            slug=asked["slug"],
            archive=archive.file,
            name=archive.name,
            actor=request.user,
            subfolder=asked["subfolder"],
            manifest=asked["manifest"] if isinstance(asked["manifest"], dict) else None,
        )
        return Response(ModuleVersionSerializer(version).data, status=201 if is_new else 200)
