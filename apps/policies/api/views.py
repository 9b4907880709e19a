"""`/api/v1/policies/` and `/api/v1/policies/<slug>/versions/`: rules over plans."""

from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import Team, User
from apps.accounts.requests import person_of
from apps.catalog.models import Module
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput
from apps.policies.api.serializers import (
    PolicyChangeSerializer,
    PolicySerializer,
    PolicyVersionSerializer,
    PolicyVersionWriteSerializer,
    PolicyWriteSerializer,
    TestSerializer,
    TrialSerializer,
)
from apps.policies.models import Policy, PolicyVersion
from apps.policies.permissions import PolicyPermission, require
from apps.policies.services import (
    Scope,
    policy_change,
    policy_create,
    policy_disable,
    policy_enable,
    policy_version_write,
)
from apps.policies.trial import policy_try

SLUG = "[-a-zA-Z0-9_]+"
OF_POLICY = OpenApiParameter("policy_slug", str, OpenApiParameter.PATH, description="Slug of the policy.")


def read(shape: Any, request: Request) -> dict[str, Any]:
    """What was sent, checked for its form."""
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    found: dict[str, Any] = given.validated_data
    return found


def team_named(user: User, slug: str | None) -> Team | None:
    if not slug:
        return None
    team = Team.objects.visible_to(user).filter(slug=slug).first()
    if team is None:
        raise InvalidInput(errors={"team": [f"There is no team “{slug}”."]})
    return team


def module_named(user: User, slug: str | None) -> Module | None:
    if not slug:
        return None
    module = Module.objects.visible_to(user).filter(slug=slug).first()
    if module is None:
        raise InvalidInput(errors={"module": [f"There is no module “{slug}”."]})
    return module


def _scope(user: User, asked: dict[str, Any]) -> Scope:
    return Scope(
        team=team_named(user, asked.get("team")),
        module=module_named(user, asked.get("module")),
        target=asked.get("target") or "",
    )


@extend_schema_view(list=extend_schema(summary="Policies"), retrieve=extend_schema(summary="One policy"))
class PolicyViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Policy]
):
    serializer_class = PolicySerializer
    queryset = Policy.objects.none()
    lookup_field = "slug"
    lookup_value_regex = SLUG
    filterset_fields = ("enabled", "scope")
    search_fields = ("slug", "title")
    ordering_fields = ("slug", "title", "created_at")
    ordering = ("title",)

    def get_queryset(self) -> QuerySet[Policy]:
        if getattr(self, "swagger_fake_view", False):
            return Policy.objects.none()
        rows = Policy.objects.visible_to(person_of(self.request.user))
        return rows.select_related("team", "module", "current_version")

    def _answer(self, row: Policy, status: int = 200) -> Response:
        return Response(self.get_serializer(self.get_queryset().get(pk=row.pk)).data, status=status)

    @extend_schema(
        summary="Write a policy; it is off", request=PolicyWriteSerializer, responses={201: PolicySerializer}
    )
    def create(self, request: Request) -> Response:
        user = person_of(request.user)
        require(user, PolicyPermission.WRITE)
        asked = read(PolicyWriteSerializer, request)
        row = policy_create(
            actor=user,
            slug=asked["slug"],
            title=asked["title"],
            rego=asked["rego"],
            note=asked["note"],
            scope=_scope(user, asked),
        )
        return self._answer(row, 201)

    @extend_schema(
        summary="Change a policy's title or scope", request=PolicyChangeSerializer, responses=PolicySerializer
    )
    def partial_update(self, request: Request, slug: str = "") -> Response:
        row, user = self.get_object(), person_of(request.user)
        require(user, PolicyPermission.WRITE)
        asked = read(PolicyChangeSerializer, request)
        named = {"team", "module", "target"} & asked.keys()
        scope = _scope(user, asked) if named else Scope(row.team, row.module, row.target)
        return self._answer(policy_change(actor=user, policy=row, title=asked.get("title", row.title), scope=scope))

    @extend_schema(summary="Switch a policy on", request=None, responses=PolicySerializer)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, slug: str = "") -> Response:
        return self._answer(policy_enable(actor=person_of(request.user), policy=self.get_object()))

    @extend_schema(summary="Switch a policy off", request=None, responses=PolicySerializer)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, slug: str = "") -> Response:
        return self._answer(policy_disable(actor=person_of(request.user), policy=self.get_object()))

    @extend_schema(summary="Try rules on the last plans", request=TestSerializer, responses=TrialSerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, slug: str = "") -> Response:
        row, user = self.get_object(), person_of(request.user)
        require(user, PolicyPermission.WRITE)
        present = row.current_version.rego if row.current_version else ""
        trial = policy_try(
            actor=user,
            rego=read(TestSerializer, request).get("rego") or present,
            scope=Scope(row.team, row.module, row.target),
            in_force=present if row.enabled else "",
        )
        return Response(TrialSerializer(trial).data)


@extend_schema_view(
    list=extend_schema(summary="Versions of a policy, newest first", parameters=[OF_POLICY]),
    retrieve=extend_schema(summary="One version of a policy", parameters=[OF_POLICY]),
)
class PolicyVersionViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[PolicyVersion]
):
    serializer_class = PolicyVersionSerializer
    queryset = PolicyVersion.objects.none()
    lookup_field = "number"
    lookup_value_regex = "[0-9]{1,9}"
    ordering_fields = ("number", "created_at")
    ordering = ("-number",)

    def get_queryset(self) -> QuerySet[PolicyVersion]:
        if getattr(self, "swagger_fake_view", False):
            return PolicyVersion.objects.none()
        rows = PolicyVersion.objects.visible_to(person_of(self.request.user)).filter(policy=self._policy())
        return rows.select_related("created_by")

    def _policy(self) -> Policy:
        rows = Policy.objects.visible_to(person_of(self.request.user))
        found: Policy = get_object_or_404(rows, slug=self.kwargs.get("policy_slug"))
        return found

    @extend_schema(
        summary="Write a new version",
        parameters=[OF_POLICY],
        request=PolicyVersionWriteSerializer,
        responses={201: PolicyVersionSerializer},
    )
    def create(self, request: Request, policy_slug: str = "") -> Response:
        row = self._policy()
        require(person_of(request.user), PolicyPermission.WRITE)
        asked = read(PolicyVersionWriteSerializer, request)
        version = policy_version_write(actor=person_of(request.user), policy=row, **asked)
        return Response(self.get_serializer(version).data, status=201)
