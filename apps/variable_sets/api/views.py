"""`/api/v1/variable-sets/` and `/api/v1/variable-sets/<id>/variables/`: values are written, never read back."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import Team, User
from apps.accounts.requests import person_of
from apps.catalog.models import Module
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput, NotAllowed
from apps.variable_sets.api.serializers import (
    SetVariableChangeSerializer,
    SetVariableSerializer,
    SetVariableWriteSerializer,
    VariableSetChangeSerializer,
    VariableSetSerializer,
    VariableSetWriteSerializer,
)
from apps.variable_sets.models import SetVariable, VariableSet
from apps.variable_sets.permissions import WORDS, may_add, may_write, require_write
from apps.variable_sets.selectors import sets_listed
from apps.variable_sets.services import (
    variable_delete,
    variable_set_create,
    variable_set_delete,
    variable_set_update,
    variable_set_value,
)
from apps.variable_sets.values import UNSET

UUID = "[0-9a-fA-F-]{32,36}"
SET = OpenApiParameter("set_pk", str, OpenApiParameter.PATH, description="Id of the variable set.")


@extend_schema_view(
    list=extend_schema(summary="Variable sets you may see"), retrieve=extend_schema(summary="One variable set")
)
class VariableSetViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[VariableSet]
):
    serializer_class = VariableSetSerializer
    queryset = VariableSet.objects.none()
    lookup_value_regex = UUID
    filterset_fields = ("target",)
    search_fields = ("name", "description")
    ordering_fields = ("name", "target", "created_at")
    ordering = ("name",)

    def get_queryset(self) -> QuerySet[VariableSet]:
        if getattr(self, "swagger_fake_view", False):
            return VariableSet.objects.none()
        return sets_listed(person_of(self.request.user))

    def _answer(self, row: VariableSet, status: int = 200) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data, status=status)

    @extend_schema(
        summary="Add a variable set", request=VariableSetWriteSerializer, responses={201: VariableSetSerializer}
    )
    def create(self, request: Request) -> Response:
        user = person_of(request.user)
        if not may_add(user):
            raise NotAllowed(WORDS)
        given = VariableSetWriteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        asked["team"], asked["module"] = _team(user, asked["team"]), _module(user, asked["module"])
        return self._answer(variable_set_create(actor=user, **asked), 201)

    @extend_schema(
        summary="Change what a variable set is for", request=VariableSetChangeSerializer,
        responses=VariableSetSerializer,
    )  # fmt: skip
    def partial_update(self, request: Request, pk: str = "") -> Response:
        row, user = self.get_object(), person_of(request.user)
        require_write(user, row)
        given = VariableSetChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        changed = variable_set_update(
            variable_set=row,
            actor=user,
            name=asked.get("name", row.name),
            description=asked.get("description", row.description),
            target=asked.get("target", row.target),
            module=_module(user, asked["module"]) if "module" in asked else row.module,
        )
        return self._answer(changed)

    @extend_schema(summary="Delete a variable set with its values", request=None, responses={204: None})
    def destroy(self, request: Request, pk: str = "") -> Response:
        variable_set_delete(variable_set=self.get_object(), actor=person_of(request.user))
        return Response(status=204)


@extend_schema_view(
    list=extend_schema(summary="Variables of a set", parameters=[SET]),
    retrieve=extend_schema(summary="One variable of a set", parameters=[SET]),
)
class SetVariableViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[SetVariable]
):
    serializer_class = SetVariableSerializer
    queryset = SetVariable.objects.none()
    lookup_value_regex = UUID
    filterset_fields = ("kind", "sensitive")
    search_fields = ("name",)
    ordering_fields = ("name", "kind", "updated_at")
    ordering = ("name",)

    def get_queryset(self) -> QuerySet[SetVariable]:
        if getattr(self, "swagger_fake_view", False):
            return SetVariable.objects.none()
        rows = SetVariable.objects.visible_to(person_of(self.request.user)).filter(set=self._set())
        return rows.select_related("updated_by", "set")

    def _set(self) -> VariableSet:
        if not hasattr(self, "_found"):
            rows = VariableSet.objects.visible_to(person_of(self.request.user)).select_related("team", "module")
            self._found: VariableSet = get_object_or_404(rows, pk=self.kwargs.get("set_pk"))
        return self._found

    def get_serializer_context(self) -> dict[str, Any]:
        if getattr(self, "swagger_fake_view", False):
            return dict(super().get_serializer_context())
        reads = may_write(person_of(self.request.user), self._set())
        return {**super().get_serializer_context(), "reads_values": reads}

    @extend_schema(
        summary="Set a variable", parameters=[SET], request=SetVariableWriteSerializer,
        responses={201: SetVariableSerializer},
    )  # fmt: skip
    def create(self, request: Request, set_pk: str = "") -> Response:
        """A new one, or another value of the one that has this kind and name."""
        user = self._permitted()
        given = SetVariableWriteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        row = variable_set_value(variable_set=self._set(), actor=user, **given.validated_data)
        return Response(self.get_serializer(row).data, status=201)

    @extend_schema(
        summary="Set a new value", parameters=[SET], request=SetVariableChangeSerializer,
        responses=SetVariableSerializer,
    )  # fmt: skip
    def partial_update(self, request: Request, set_pk: str = "", pk: str = "") -> Response:
        row, user = self.get_object(), self._permitted()
        given = SetVariableChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        changed = variable_set_value(
            variable_set=self._set(),
            actor=user,
            name=row.name,
            kind=row.kind,
            value=asked.get("value", UNSET),
            sensitive=asked.get("sensitive", row.sensitive),
            environment_variable=asked.get("environment_variable", row.environment_variable),
        )
        return Response(self.get_serializer(changed).data)

    @extend_schema(summary="Delete a variable", parameters=[SET], request=None, responses={204: None})
    def destroy(self, request: Request, set_pk: str = "", pk: str = "") -> Response:
        variable_delete(variable=self.get_object(), actor=person_of(request.user))
        return Response(status=204)

    def _permitted(self) -> User:
        """Before what was sent is looked at."""
        user = person_of(self.request.user)
        require_write(user, self._set())
        return user


def _team(user: User, slug: str | None) -> Team | None:
    if slug is None:
        return None
    team = Team.objects.visible_to(user).filter(slug=slug).first()
    if team is None:
        raise InvalidInput(errors={"team": ["There is no such team, or you do not belong to it."]})
    return team


def _module(user: User, slug: str | None) -> Module | None:
    if slug is None:
        return None
    module = Module.objects.visible_to(user).filter(slug=slug).first()
    if module is None:
        raise InvalidInput(errors={"module": [f"There is no module “{slug}” in the catalog."]})
    return module
