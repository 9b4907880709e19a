"""`/api/v1/modules/` and their versions: the catalog, and for platform engineers the life of its versions."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.requests import person_of
from apps.catalog import services
from apps.catalog.api.serializers import (
    FolderSerializer,
    InterfaceDifferenceSerializer,
    ModuleSerializer,
    ModuleVersionSerializer,
    VersionCheckSerializer,
    VersionReasonSerializer,
)
from apps.catalog.interface.difference import InterfaceDifference
from apps.catalog.models import Module, ModuleVersion, VersionCheck
from apps.catalog.permissions import CatalogPermission, require
from apps.catalog.selectors import modules_listed, version_difference
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import NotAllowed

MODULE = OpenApiParameter("module_slug", str, OpenApiParameter.PATH, description="Slug of the module.")
VERSION = {200: ModuleVersionSerializer}


@extend_schema_view(list=extend_schema(summary="Modules"), retrieve=extend_schema(summary="One module"))
class ModuleViewSet(IdempotentWrites, viewsets.ReadOnlyModelViewSet[Module]):
    serializer_class = ModuleSerializer
    queryset = Module.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    filterset_fields = ("kind", "target")
    search_fields = ("slug", "title", "summary")
    ordering_fields = ("slug", "title", "kind", "created_at")
    ordering = ("title",)

    def get_queryset(self) -> QuerySet[Module]:
        return modules_listed(self.request.user)

    @extend_schema(
        summary="Register a folder of this installation's terraform/modules as a draft",
        request=FolderSerializer,
        responses={201: ModuleVersionSerializer, 200: ModuleVersionSerializer},
    )
    def create(self, request: Request) -> Response:
        require(request.user, CatalogPermission.REGISTER)
        asked = FolderSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        version, is_new = services.module_register_repository(slug=asked.validated_data["slug"], actor=request.user)
        return Response(ModuleVersionSerializer(version).data, status=201 if is_new else 200)


@extend_schema_view(
    list=extend_schema(summary="Versions of a module, newest first", parameters=[MODULE]),
    retrieve=extend_schema(summary="One version of a module", parameters=[MODULE]),
)
class ModuleVersionViewSet(IdempotentWrites, viewsets.ReadOnlyModelViewSet[ModuleVersion]):
    serializer_class = ModuleVersionSerializer
    queryset = ModuleVersion.objects.none()
    lookup_field = "version"
    lookup_value_regex = "[^/]+"
    filterset_fields = ("status",)
    search_fields = ("version", "commit")
    ordering_fields = ("version", "created_at")
    ordering = ("-created_at",)

    def get_queryset(self) -> QuerySet[ModuleVersion]:
        rows = ModuleVersion.objects.visible_to(self.request.user).filter(module__slug=self.kwargs.get("module_slug"))
        return rows.select_related("module", "published_by", "registered_by").defer("archive", "readme")

    def filter_queryset(self, queryset: QuerySet[ModuleVersion]) -> QuerySet[ModuleVersion]:
        return super().filter_queryset(queryset) if self.action == "list" else queryset

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not Module.objects.visible_to(request.user).filter(slug=kwargs.get("module_slug")).exists():
            raise Http404

    def _do(self, service: Callable[..., ModuleVersion], **arguments: Any) -> Response:
        version = self._permitted()
        service(version=version, actor=self.request.user, **arguments)
        return Response(self.get_serializer(self.get_object()).data)

    def _permitted(self) -> ModuleVersion:
        """The version, before what was sent is looked at."""
        version: ModuleVersion = self.get_object()
        require(self.request.user, CatalogPermission.PUBLISH)
        return version

    def _reason(self) -> str:
        self._permitted()
        asked = VersionReasonSerializer(data=self.request.data)
        asked.is_valid(raise_exception=True)
        reason: str = asked.validated_data["reason"]
        return reason

    @extend_schema(summary="Publish a draft", request=None, responses=VERSION, parameters=[MODULE])
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, **kwargs: str) -> Response:
        return self._do(services.module_version_publish)

    @extend_schema(summary="No new launches", request=VersionReasonSerializer, responses=VERSION, parameters=[MODULE])
    @action(detail=True, methods=["post"])
    def deprecate(self, request: Request, **kwargs: str) -> Response:
        return self._do(services.module_version_deprecate, reason=self._reason())

    @extend_schema(
        summary="No launches and no starts; what runs is flagged",
        request=VersionReasonSerializer,
        responses=VERSION,
        parameters=[MODULE],
    )
    @action(detail=True, methods=["post"])
    def revoke(self, request: Request, **kwargs: str) -> Response:
        return self._do(services.module_version_revoke, reason=self._reason())

    @extend_schema(
        summary="Publish again what was deprecated or revoked",
        request=VersionReasonSerializer,
        responses=VERSION,
        parameters=[MODULE],
    )
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, **kwargs: str) -> Response:
        return self._do(services.module_version_restore, reason=self._reason())

    @extend_schema(
        summary="The checks of a version with their results",
        responses=VersionCheckSerializer(many=True),
        parameters=[MODULE],
        filters=False,
    )
    @action(detail=True, methods=["get"], pagination_class=None, filter_backends=[])
    def checks(self, request: Request, **kwargs: str) -> Response:
        version = self.get_object()
        if not person_of(request.user).sees_everything:
            raise NotAllowed("Only platform engineers and auditors read what checks wrote")
        rows = VersionCheck.objects.visible_to(request.user).filter(version=version)
        return Response(VersionCheckSerializer(rows, many=True).data)

    @extend_schema(
        summary="Run the checks again",
        request=None,
        responses={202: VersionCheckSerializer(many=True)},
        parameters=[MODULE],
    )
    @checks.mapping.post
    def checks_again(self, request: Request, **kwargs: str) -> Response:
        rows = services.checks_repeat(version=self._permitted(), actor=request.user)
        return Response(VersionCheckSerializer(rows, many=True).data, status=202)

    @extend_schema(
        summary="What changed in inputs and outputs since the version before",
        responses=InterfaceDifferenceSerializer,
        parameters=[MODULE],
        filters=False,
    )
    @action(detail=True, methods=["get"], filter_backends=[])
    def difference(self, request: Request, **kwargs: str) -> Response:
        found = version_difference(request.user, self.get_object())
        before, difference = (found[0].version, found[1]) if found else (None, InterfaceDifference())
        return Response(InterfaceDifferenceSerializer({"before": before, **difference.to_json()}).data)
