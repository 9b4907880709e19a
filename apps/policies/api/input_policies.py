"""`/api/v1/input-policies/`, and what somebody is offered of a module after them."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import Team
from apps.accounts.requests import person_of
from apps.catalog.models import Module, ModuleVersion
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput
from apps.policies.api.serializers import (
    InputPolicyChangeSerializer,
    InputPolicySerializer,
    InputPolicyWriteSerializer,
)
from apps.policies.api.views import module_named, read, team_named
from apps.policies.models import InputPolicy
from apps.policies.permissions import PolicyPermission, require
from apps.policies.selectors import offer_for
from apps.policies.services import input_policy_set

UUID = "[0-9a-fA-F-]{32,36}"


@extend_schema_view(list=extend_schema(summary="Input policies"), retrieve=extend_schema(summary="One input policy"))
class InputPolicyViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[InputPolicy]
):
    serializer_class = InputPolicySerializer
    queryset = InputPolicy.objects.none()
    lookup_value_regex = UUID
    filterset_fields = ("module__slug", "team__slug")
    ordering_fields = ("created_at", "updated_at")
    ordering = ("created_at",)

    def get_queryset(self) -> QuerySet[InputPolicy]:
        if getattr(self, "swagger_fake_view", False):
            return InputPolicy.objects.none()
        rows = InputPolicy.objects.visible_to(person_of(self.request.user))
        return rows.select_related("module", "team", "updated_by")

    @extend_schema(
        summary="Set what people may choose of a module",
        request=InputPolicyWriteSerializer,
        responses={200: InputPolicySerializer},
    )
    def create(self, request: Request) -> Response:
        """Replaces what was set of the module for everybody, or for the team. Rules are an object by variable."""
        user = person_of(request.user)
        require(user, PolicyPermission.WRITE)
        asked = read(InputPolicyWriteSerializer, request)
        module = module_named(user, asked["module"])
        if module is None:
            raise InvalidInput(errors={"module": ["Name a module."]})
        if not asked["rules"]:
            raise InvalidInput(errors={"rules": ["Give at least one rule; delete the policy to take all away."]})
        row = input_policy_set(actor=user, module=module, team=team_named(user, asked["team"]), rules=asked["rules"])
        return self._answer(row)

    @extend_schema(
        summary="Replace the rules", request=InputPolicyChangeSerializer, responses={200: InputPolicySerializer}
    )
    def partial_update(self, request: Request, pk: str = "") -> Response:
        row, user = self.get_object(), person_of(request.user)
        require(user, PolicyPermission.WRITE)
        rules = read(InputPolicyChangeSerializer, request)["rules"]
        if not rules:
            raise InvalidInput(errors={"rules": ["Give at least one rule; delete the policy to take all away."]})
        return self._answer(input_policy_set(actor=user, module=row.module, team=row.team, rules=rules))

    @extend_schema(summary="Take all rules away", request=None, responses={204: None})
    def destroy(self, request: Request, pk: str = "") -> Response:
        row = self.get_object()
        input_policy_set(actor=person_of(request.user), module=row.module, team=row.team, rules={})
        return Response(status=204)

    def _answer(self, row: InputPolicy | None) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk if row else None)).data)

    @extend_schema(
        summary="What a team is offered of a module",
        parameters=[
            OpenApiParameter("module", str, required=True, description="Slug."),
            OpenApiParameter("team", str, required=True, description="Slug of one of your teams."),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    @action(detail=False, methods=["get"], pagination_class=None, filterset_fields=())
    def offer(self, request: Request) -> Response:
        """The inputs as the launch form asks for them: for everybody, about their own teams."""
        user = person_of(request.user)
        team = Team.objects.visible_to(user).filter(slug=request.query_params.get("team", "")).first()
        if team is None:
            raise InvalidInput(errors={"team": ["Name one of your teams."]})
        slug = request.query_params.get("module", "")
        module = Module.objects.visible_to(user).launchable().filter(slug=slug).first()
        if module is None:
            raise InvalidInput(errors={"module": ["Name a module that can be launched."]})
        version = ModuleVersion.objects.select_related("module").defer("archive").get(pk=module.latest_version_id)
        return Response(_offer_json(version, team))


def _offer_json(version: ModuleVersion, team: Team) -> dict[str, Any]:
    offer = offer_for(version=version, team=team)
    return {
        "module": version.module.slug,
        "version": version.version,
        "team": team.slug,
        "inputs": [
            {
                "name": variable.name,
                "label": variable.label,
                "type": str(variable.type),
                "description": variable.description,
                "required": variable.required and variable.name not in offer.fixed,
                "default": None if variable.sensitive else variable.default,
                "fixed": variable.name in offer.fixed,
                "value": offer.fixed.get(variable.name),
                "options": [option.value for option in variable.presentation.options],
                "minimum": offer.rules.get(variable.name, {}).get("minimum"),
                "maximum": offer.rules.get(variable.name, {}).get("maximum"),
                "longest": offer.rules.get(variable.name, {}).get("longest"),
                "note": offer.notes.get(variable.name, ""),
            }
            for variable in offer.interface.inputs
        ],
        "presets": [{"name": preset.name, "inputs": preset.inputs} for preset in offer.interface.presets],
    }
