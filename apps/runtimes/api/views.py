"""`/api/v1/runtimes/` and `/api/v1/runtimes/<slug>/versions/`: Python environments, thin over the services."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.requests import person_of
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput
from apps.runtimes.api.serializers import (
    DeprecateSerializer,
    PackageDifferenceSerializer,
    RuntimeChangeSerializer,
    RuntimeCreateSerializer,
    RuntimeSerializer,
    RuntimeVersionCreateSerializer,
    RuntimeVersionDetailSerializer,
    RuntimeVersionSerializer,
)
from apps.runtimes.lockfile import Difference
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.permissions import RuntimePermission, require
from apps.runtimes.selectors import HEAVY, difference_between, version_before
from apps.runtimes.services import (
    runtime_change,
    runtime_create,
    runtime_version_create,
    runtime_version_deprecate,
    runtime_version_restore,
    runtime_version_retry,
)

SLUG = OpenApiParameter("runtime_slug", str, OpenApiParameter.PATH, description="Slug of the Python environment.")
FROM = OpenApiParameter("from", int, description="Number of the version to compare with; default: the one before.")
CONFLICT = OpenApiResponse(description="Its status does not allow this.")
ANSWERS = {200: RuntimeVersionDetailSerializer, 409: CONFLICT}


def _read(request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


@extend_schema_view(
    list=extend_schema(summary="Python environments"), retrieve=extend_schema(summary="One Python environment")
)
class RuntimeViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Runtime]
):
    serializer_class = RuntimeSerializer
    queryset = Runtime.objects.none()
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    search_fields = ("slug", "title", "summary")
    ordering_fields = ("slug", "title", "created_at")
    ordering = ("title",)

    def get_queryset(self) -> QuerySet[Runtime]:
        rows = Runtime.objects.visible_to(person_of(self.request.user)).select_related("latest_version")
        return rows.defer(*(f"latest_version__{name}" for name in (*HEAVY, "packages")))

    @extend_schema(
        summary="Make a Python environment; its first version is locked and built",
        request=RuntimeCreateSerializer,
        responses={201: RuntimeVersionDetailSerializer},
    )
    def create(self, request: Request) -> Response:
        user = person_of(request.user)
        require(user, RuntimePermission.MANAGE)
        version = runtime_create(actor=user, **_read(request, RuntimeCreateSerializer))
        return Response(RuntimeVersionDetailSerializer(version).data, status=201)

    @extend_schema(summary="Change title or summary", request=RuntimeChangeSerializer, responses=RuntimeSerializer)
    def partial_update(self, request: Request, slug: str = "") -> Response:
        row, user = self.get_object(), person_of(request.user)
        require(user, RuntimePermission.MANAGE)
        asked = _read(request, RuntimeChangeSerializer)
        given = {"title": asked.get("title", row.title), "summary": asked.get("summary", row.summary)}
        runtime_change(runtime=row, actor=user, **given)
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data)


@extend_schema_view(
    list=extend_schema(summary="Versions of a Python environment, newest first", parameters=[SLUG]),
    retrieve=extend_schema(
        summary="One version, with its lock", parameters=[SLUG], responses=RuntimeVersionDetailSerializer
    ),
)
class RuntimeVersionViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[RuntimeVersion]
):
    serializer_class = RuntimeVersionSerializer
    queryset = RuntimeVersion.objects.none()
    lookup_field = "number"
    lookup_value_regex = "[0-9]{1,6}"
    filterset_fields = ("status",)
    ordering_fields = ("number", "created_at")
    ordering = ("-number",)

    def get_serializer_class(self) -> type[RuntimeVersionSerializer]:
        return RuntimeVersionDetailSerializer if self.action == "retrieve" else RuntimeVersionSerializer

    def get_queryset(self) -> QuerySet[RuntimeVersion]:
        rows = RuntimeVersion.objects.visible_to(person_of(self.request.user))
        rows = rows.filter(runtime__slug=self.kwargs.get("runtime_slug")).select_related("runtime", "created_by")
        return rows.defer(*HEAVY) if self.action == "list" else rows

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._runtime()

    def _runtime(self) -> Runtime:
        rows = Runtime.objects.visible_to(person_of(self.request.user))
        row = rows.filter(slug=self.kwargs.get("runtime_slug")).first()
        if row is None:
            raise Http404
        return row

    def _answer(self, version: RuntimeVersion, status: int = 200) -> Response:
        return Response(RuntimeVersionDetailSerializer(self.get_queryset().get(pk=version.pk)).data, status=status)

    def _permitted(self) -> RuntimeVersion:
        row = self.get_object()
        require(person_of(self.request.user), RuntimePermission.MANAGE)
        return row

    @extend_schema(
        summary="Edit the requirements: the next version",
        parameters=[SLUG],
        request=RuntimeVersionCreateSerializer,
        responses={201: RuntimeVersionDetailSerializer, 409: CONFLICT},
    )
    def create(self, request: Request, runtime_slug: str = "") -> Response:
        runtime, user = self._runtime(), person_of(request.user)
        require(user, RuntimePermission.MANAGE)
        asked = _read(request, RuntimeVersionCreateSerializer)
        return self._answer(runtime_version_create(runtime=runtime, actor=user, **asked), 201)

    @extend_schema(summary="Offer it no longer", parameters=[SLUG], request=DeprecateSerializer, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def deprecate(self, request: Request, runtime_slug: str = "", number: str = "") -> Response:
        row = self._permitted()
        reason = _read(request, DeprecateSerializer)["reason"]
        return self._answer(runtime_version_deprecate(version=row, actor=person_of(request.user), reason=reason))

    @extend_schema(summary="Offer it again", parameters=[SLUG], request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, runtime_slug: str = "", number: str = "") -> Response:
        return self._answer(runtime_version_restore(version=self._permitted(), actor=person_of(request.user)))

    @extend_schema(summary="Try again what failed", parameters=[SLUG], request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, runtime_slug: str = "", number: str = "") -> Response:
        return self._answer(runtime_version_retry(version=self._permitted(), actor=person_of(request.user)))

    @extend_schema(
        summary="What differs from another version",
        parameters=[SLUG, FROM],
        responses=PackageDifferenceSerializer,
        filters=False,
    )
    @action(detail=True, methods=["get"])
    def difference(self, request: Request, runtime_slug: str = "", number: str = "") -> Response:
        row, asked = self.get_object(), request.query_params.get("from", "")
        base = version_before(row) if not asked else None
        if asked:
            other = int(asked) if asked.isdecimal() and asked.isascii() and len(asked) < 7 else 0
            base = self.get_queryset().filter(number=other).first()
            if base is None:
                raise InvalidInput(errors={"from": [f"{runtime_slug} has no version {asked[:10]}."]})
        found = difference_between(base, row) or Difference([], [], [])
        return Response(PackageDifferenceSerializer(found).data)
