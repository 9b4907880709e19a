"""`/api/v1/environments/`: thin over the services, which say what is allowed."""

from collections.abc import Callable
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import Team, User
from apps.catalog.models import Module, ModuleVersion
from apps.core.api.idempotency import IdempotentWrites
from apps.core.api.throttles import LaunchThrottle
from apps.core.exceptions import InvalidInput
from apps.environments import services
from apps.environments.api.filters import EnvironmentFilter
from apps.environments.api.serializers import (
    DestroySerializer,
    EnvironmentCreateSerializer,
    EnvironmentSerializer,
    ExtendSerializer,
    StopSerializer,
    TakeOverSerializer,
    UpdateSerializer,
    UpgradeLookSerializer,
    UpgradeSerializer,
)
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission as P
from apps.environments.permissions import require
from apps.environments.selectors import versions_once
from apps.environments.services.upgrading import upgrade_look
from apps.provisioning.imports import Import
from apps.provisioning.models import Change

# What a list shows and is ordered by: of 200 rows, reading the other columns costs as much as showing these.
LISTED = (
    "name", "slug", "status", "status_reason", "status_since", "failure", "preset", "inputs", "ttl_seconds",
    "expires_at", "last_activity_at", "created_at", "destroyed_at", "team__slug", "owner__username", "module__slug",
    "module_version_id", "workspace__outputs", "runtime_version__number", "runtime_version__runtime__slug",
)  # fmt: skip
CONFLICT = OpenApiResponse(description="Something else is going on with it, or its status does not allow this.")
ANSWERS = {200: EnvironmentSerializer, 409: CONFLICT}


@extend_schema_view(
    list=extend_schema(summary="Environments you may see"),
    retrieve=extend_schema(summary="One environment"),
)
class EnvironmentViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Environment]
):
    serializer_class = EnvironmentSerializer
    queryset = Environment.objects.none()
    filterset_class = EnvironmentFilter
    search_fields = ("name", "slug", "owner__username", "module__title", "status_reason")
    ordering_fields = ("name", "status", "created_at", "expires_at", "status_since", "team__slug", "owner__username")
    ordering = ("-created_at",)
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"

    def get_queryset(self) -> QuerySet[Environment]:
        active = Change.objects.active().filter(workspace_id=OuterRef("pk")).values("pk")[:1]
        rows = (
            Environment.objects.visible_to(self.request.user)
            .select_related("team", "owner", "module", "workspace", "runtime_version__runtime")
            .prefetch_related(versions_once())
            .annotate(active_change_id=Subquery(active))
        )
        if self.action == "list":
            return rows.only(*LISTED)
        heavy = ("inputs_cipher", "secrets_cipher", "settled_cipher", "workspace__resources")
        return rows.defer(*heavy, *(f"runtime_version__{name}" for name in ("lock", "requirements", "log", "packages")))

    def filter_queryset(self, queryset: QuerySet[Environment]) -> QuerySet[Environment]:
        """Filters are for the list: one that is destroyed is still found by its id."""
        return super().filter_queryset(queryset) if self.action == "list" else queryset

    def get_throttles(self) -> list[Any]:
        return [*super().get_throttles(), *([LaunchThrottle()] if self.action == "create" else [])]

    def _answer(self, environment: Environment, status: int = 200) -> Response:
        row = self.get_queryset().get(pk=environment.pk)
        return Response(self.get_serializer(row).data, status=status)

    def _read(self, request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        asked = shape(data=request.data)
        asked.is_valid(raise_exception=True)
        return asked.validated_data

    def _permitted(self, permission: P) -> Environment:
        """The environment, before what was sent is looked at: who may not see it learns nothing from their mistakes."""
        environment = self.get_object()
        require(self.request.user, permission, environment)
        return environment

    def _do(self, service: Callable[..., Environment], environment: Environment, **arguments: Any) -> Response:
        return self._answer(service(environment=environment, actor=self.request.user, **arguments))

    @extend_schema(
        summary="Launch an environment", request=EnvironmentCreateSerializer, responses={201: EnvironmentSerializer}
    )
    def create(self, request: Request) -> Response:
        asked = self._read(request, EnvironmentCreateSerializer)
        environment = services.environment_launch(
            actor=request.user,
            team=_team(request, asked["team"]),
            module_version=_version(asked["module"], asked.get("version")),
            name=asked["name"],
            preset=asked.get("preset") or "",
            inputs=asked["inputs"],
            ttl_seconds=asked.get("ttl"),
            runtime=asked.get("runtime"),
            imports=[Import(**row) for row in asked.get("imports", ())],
        )
        return self._answer(environment, 201)

    @extend_schema(summary="Change inputs or size", request=UpdateSerializer, responses=ANSWERS)
    def partial_update(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.UPDATE)
        asked = self._read(request, UpdateSerializer)
        given = {"inputs": asked["inputs"], "preset": asked.get("preset"), "runtime": asked.get("runtime")}
        return self._do(services.environment_update, environment, **given)

    @extend_schema(
        summary="Stop: files are kept, unless the module says what is lost", request=StopSerializer, responses=ANSWERS
    )
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.STOP)
        asked = self._read(request, StopSerializer)
        return self._do(services.environment_stop, environment, reason=asked["reason"], confirm=asked["confirm"])

    @extend_schema(summary="Start again", request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def start(self, request: Request, pk: str = "") -> Response:
        return self._do(services.environment_start, self._permitted(P.START))

    @extend_schema(summary="Move the stop time", request=ExtendSerializer, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def extend(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.EXTEND)
        asked = self._read(request, ExtendSerializer)
        seconds = asked.get("seconds", asked.get("ttl"))
        return self._do(services.environment_extend, environment, seconds=seconds, until=asked.get("until"))

    @extend_schema(summary="Destroy, with its files", request=DestroySerializer, responses=ANSWERS)
    @action(detail=True, methods=["post"], url_path="destroy", url_name="destroy")
    def destroy_environment(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.DESTROY)
        asked = self._read(request, DestroySerializer)
        return self._do(services.environment_destroy, environment, confirm=asked["confirm"], reason=asked["reason"])

    @extend_schema(summary="Move to another module version", request=UpgradeSerializer, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def upgrade(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.UPGRADE)
        asked = self._read(request, UpgradeSerializer)
        version = _target(request.user, environment, asked.get("version"))
        return self._do(services.environment_upgrade, environment, module_version=version, inputs=asked["inputs"])

    @extend_schema(
        summary="What moving to another module version means",
        parameters=[OpenApiParameter("version", str, description="Default: the latest.")],
        responses=UpgradeLookSerializer,
        filters=False,
    )
    @upgrade.mapping.get
    def upgrade_look(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.UPGRADE)
        version = _target(request.user, environment, request.query_params.get("version", "")[:40])
        return Response(UpgradeLookSerializer(upgrade_look(environment=environment, target=version)).data)

    @extend_schema(summary="Plan to take over what exists", request=TakeOverSerializer, responses=ANSWERS)
    @action(detail=True, methods=["post"], url_path="take-over", url_name="take-over")
    def take_over(self, request: Request, pk: str = "") -> Response:
        environment = self._permitted(P.TAKE_OVER)
        rows = [Import(**row) for row in self._read(request, TakeOverSerializer)["imports"]]
        return self._do(services.environment_take_over, environment, imports=rows)

    @extend_schema(summary="Check for changes made outside Slipway", request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def refresh(self, request: Request, pk: str = "") -> Response:
        return self._do(services.environment_refresh, self._permitted(P.REFRESH))

    @extend_schema(summary="Try again what failed", request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: str = "") -> Response:
        return self._do(services.environment_retry, self._permitted(P.RETRY))


def _target(user: User, environment: Environment, version: str | None) -> ModuleVersion:
    """A version of the environment's own module, by default the latest."""
    rows = ModuleVersion.objects.visible_to(user).filter(module=environment.module_id)
    rows = rows.select_related("module").defer("archive")
    found = (
        rows.filter(version=version).first()
        if version
        else rows.filter(pk=environment.module.latest_version_id).first()
    )
    if found is None:
        message = f"{environment.module.title} has no version {version}." if version else "Nothing of it is published."
        raise InvalidInput(errors={"version": [message]})
    return found


def _team(request: Request, slug: str) -> Team:
    """Teams that the person does not see are as unknown as those that do not exist."""
    team = Team.objects.visible_to(request.user).filter(slug=slug).first()
    if team is None:
        raise InvalidInput(errors={"team": ["There is no such team, or you do not belong to it."]})
    return team


def _version(module_slug: str, version: str | None) -> ModuleVersion:
    module = Module.objects.launchable().select_related("latest_version").filter(slug=module_slug).first()
    if module is None:
        raise InvalidInput(errors={"module": [f"There is no module “{module_slug}” in the catalog."]})
    if not version:
        return ModuleVersion.objects.select_related("module").get(pk=module.latest_version_id)
    found = ModuleVersion.objects.select_related("module").filter(module=module, version=version).first()
    if found is None:
        raise InvalidInput(errors={"version": [f"{module.title} has no version {version}."]})
    return found
