"""`/api/v1/changes/`: what was, is and waits to be done to environments."""

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput
from apps.provisioning import services
from apps.provisioning.api.serializers import (
    ApproveSerializer,
    ChangeLogSerializer,
    ChangePlanSerializer,
    ChangeSerializer,
    RejectSerializer,
)
from apps.provisioning.losses import losses_in
from apps.provisioning.models import Change, LogLine
from apps.provisioning.permissions import ChangePermission, require
from apps.provisioning.selectors import log_lines

LINES_AT_ONCE = 2000
NOT_OWN = {"environment", "environment_name", "module", "version", "failure"}
# Large columns that no answer shows.
UNSHOWN = (
    "values", "module_version__archive", "module_version__interface", "module_version__readme", "workspace__resources",
    "workspace__outputs",
)  # fmt: skip
# What a list shows and is ordered by.
LISTED = (
    *(name for name in ChangeSerializer.Meta.fields if name not in NOT_OWN), "workspace__name",
    "requested_by__username", "approved_by__username", "module_version__version", "module_version__module__slug",
    "failure_code", "failure_summary", "failure_detail",
)  # fmt: skip


class ChangeFilter(django_filters.FilterSet):
    environment = django_filters.UUIDFilter(field_name="workspace_id")
    # Of the row's own columns: nothing can be found twice, so nothing is compared in all its columns to be found once.
    status = django_filters.MultipleChoiceFilter(choices=Change.Status.choices, distinct=False)
    kind = django_filters.MultipleChoiceFilter(choices=Change.Kind.choices, distinct=False)
    requested_by = django_filters.CharFilter(field_name="requested_by__username")
    team = django_filters.CharFilter(field_name="workspace__team__slug")

    class Meta:
        model = Change
        fields = ("environment", "status", "kind", "requested_by", "team")


@extend_schema_view(
    list=extend_schema(summary="Changes of environments you may see"), retrieve=extend_schema(summary="One change")
)
class ChangeViewSet(IdempotentWrites, viewsets.ReadOnlyModelViewSet[Change]):
    serializer_class = ChangeSerializer
    queryset = Change.objects.none()
    filterset_class = ChangeFilter
    search_fields = ("workspace__name", "reason", "failure_summary")
    ordering_fields = ("created_at", "finished_at", "status", "kind")
    ordering = ("-created_at",)
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"

    def get_queryset(self) -> QuerySet[Change]:
        rows = Change.objects.visible_to(self.request.user).defer(*UNSHOWN)
        rows = rows.select_related("workspace", "requested_by", "approved_by", "module_version__module")
        if self.action == "list":
            return rows.only(*LISTED)
        return rows if self.action == "plan" else rows.defer("plan")

    def _answer(self, change: Change) -> Response:
        return Response(ChangeSerializer(self.get_queryset().get(pk=change.pk)).data)

    @extend_schema(summary="What the change does, resource by resource", responses=ChangePlanSerializer)
    @action(detail=True)
    def plan(self, request: Request, pk: str = "") -> Response:
        change = self.get_object()
        plan: dict[str, Any] = change.plan or {}
        shown = {
            "change": change.pk,
            "status": change.status,
            "plan_hash": change.plan_hash,
            "destructive": bool(plan.get("destructive")),
            "takes_over": any(resource.get("importing") for resource in plan.get("resources", ())),
            "lost": (lost := losses_in(plan)),
            "confirm": change.workspace.name if lost else None,
            "resources": plan.get("resources", []),
        }
        return Response(ChangePlanSerializer(shown).data)

    @extend_schema(
        summary="Lines of the build log, oldest first",
        parameters=[OpenApiParameter("after", int, description="Lines with a number above this one.")],
        responses=ChangeLogSerializer,
        filters=False,
    )
    @action(detail=True, pagination_class=None)
    def log(self, request: Request, pk: str = "") -> Response:
        change = self.get_object()
        ended = not change.is_active
        after = number_read(request.query_params.get("after", "0"))
        lines = list(
            log_lines(
                workspace_id=change.workspace_id,
                stream=LogLine.Stream.BUILD,
                after=after,
                limit=LINES_AT_ONCE,
                change_id=change.pk,
            )
        )
        last = lines[-1].number if lines else after
        shown = {"lines": lines, "after": last, "is_complete": ended and len(lines) < LINES_AT_ONCE}
        return Response(ChangeLogSerializer(shown).data)

    @extend_schema(summary="Cancel: what is finished is kept", request=None, responses=ChangeSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str = "") -> Response:
        change = self._permitted(ChangePermission.CANCEL)
        services.change_cancel(change=change, actor=request.user)
        return self._answer(change)

    @extend_schema(summary="Apply the plan that was looked at", request=ApproveSerializer, responses=ChangeSerializer)
    @action(detail=True, methods=["post"])
    def approve(self, request: Request, pk: str = "") -> Response:
        change = self._permitted(ChangePermission.DECIDE)
        asked = ApproveSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.change_approve(change=change, actor=request.user, **asked.validated_data)
        return self._answer(change)

    @extend_schema(summary="Discard the plan", request=RejectSerializer, responses=ChangeSerializer)
    @action(detail=True, methods=["post"])
    def reject(self, request: Request, pk: str = "") -> Response:
        change = self._permitted(ChangePermission.DECIDE)
        asked = RejectSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        services.change_reject(change=change, actor=request.user, reason=asked.validated_data["reason"])
        return self._answer(change)

    def _permitted(self, permission: ChangePermission) -> Change:
        change = self.get_object()
        require(self.request.user, permission, change)
        return change


def number_read(text: str) -> int:
    """A line number of a query. Raises `InvalidInput`."""
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise InvalidInput(errors={"after": ["Give a whole number from 0."]})
    return int(text)
