"""`/api/v1/modules/` and `/api/v1/modules/<slug>/versions/`: the catalog, to read."""

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import viewsets

from apps.catalog.api.serializers import ModuleSerializer, ModuleVersionSerializer
from apps.catalog.models import Module, ModuleVersion

MODULE = OpenApiParameter("module_slug", str, OpenApiParameter.PATH, description="Slug of the module.")


@extend_schema_view(list=extend_schema(summary="Modules"), retrieve=extend_schema(summary="One module"))
class ModuleViewSet(viewsets.ReadOnlyModelViewSet[Module]):
    serializer_class = ModuleSerializer
    queryset = Module.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    filterset_fields = ("kind", "target")
    search_fields = ("slug", "title", "summary")
    ordering_fields = ("slug", "title", "kind", "created_at")
    ordering = ("title",)

    def get_queryset(self) -> QuerySet[Module]:
        rows = Module.objects.visible_to(self.request.user).select_related("latest_version")
        return rows.defer("latest_version__archive", "latest_version__readme", "latest_version__interface")


@extend_schema_view(
    list=extend_schema(summary="Versions of a module, newest first", parameters=[MODULE]),
    retrieve=extend_schema(summary="One version of a module", parameters=[MODULE]),
)
class ModuleVersionViewSet(viewsets.ReadOnlyModelViewSet[ModuleVersion]):
    serializer_class = ModuleVersionSerializer
    queryset = ModuleVersion.objects.none()
    lookup_field = "version"
    lookup_value_regex = "[^/]+"
    search_fields = ("version", "commit")
    ordering_fields = ("version", "created_at")
    ordering = ("-created_at",)

    def get_queryset(self) -> QuerySet[ModuleVersion]:
        rows = ModuleVersion.objects.visible_to(self.request.user).filter(module__slug=self.kwargs.get("module_slug"))
        return rows.select_related("module", "published_by").defer("archive", "readme")

    def initial(self, request, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().initial(request, *args, **kwargs)
        if not Module.objects.visible_to(request.user).filter(slug=kwargs.get("module_slug")).exists():
            raise Http404
