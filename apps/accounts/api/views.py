"""People and teams over the API. What a person may not see is 404; what they may see but not change is 403."""

from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.serializers import (
    MembershipAddSerializer,
    MembershipChangeSerializer,
    MembershipSerializer,
    MeSerializer,
    TeamSerializer,
    UserSerializer,
)
from apps.accounts.models import Membership, Team, User
from apps.accounts.permissions import AccountsPermission, require
from apps.accounts.requests import person_of
from apps.accounts.services import membership_add, membership_change, membership_remove, person_find
from apps.core.api.idempotency import IdempotentWrites

USERNAME = r"[\w.@+-]{1,150}"


def own_roles(user: User) -> dict[Any, str]:
    return dict(user.memberships.values_list("team_id", "role"))


class TeamViewSet(IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Team]):
    """Teams you belong to; all of them for platform engineers and auditors."""

    serializer_class = TeamSerializer
    queryset = Team.objects.none()
    lookup_field = "slug"
    lookup_value_regex = r"[-\w]{1,40}"
    search_fields = ("name", "slug")
    ordering_fields = ("name", "slug", "created_at")

    def get_queryset(self) -> QuerySet[Team]:
        if getattr(self, "swagger_fake_view", False):
            return Team.objects.none()
        members = Membership.objects.filter(team=OuterRef("pk")).order_by().values("team").annotate(n=Count("pk"))
        return Team.objects.visible_to(person_of(self.request.user)).annotate(
            member_count=Coalesce(Subquery(members.values("n")), 0)
        )

    def get_serializer_context(self) -> dict[str, Any]:
        roles = {} if getattr(self, "swagger_fake_view", False) else own_roles(person_of(self.request.user))
        return {**super().get_serializer_context(), "roles": roles}

    @extend_schema(responses=MembershipSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filter_backends=[])
    def members(self, request: Request, slug: str) -> Response:
        """Who is in the team, with their roles."""
        rows = Membership.objects.filter(team=self._team(slug)).select_related("user").order_by("created_at")
        page: Any = self.paginate_queryset(rows)  # type: ignore[arg-type]  # rows of the team, not teams
        return self.get_paginated_response(MembershipSerializer(page, many=True).data)

    @extend_schema(request=MembershipAddSerializer, responses={201: MembershipSerializer})
    @members.mapping.post
    def member_add(self, request: Request, slug: str) -> Response:
        """Take a person into the team; for its managers and platform engineers."""
        team = self._team(slug)
        require(person_of(request.user), AccountsPermission.MANAGE_MEMBERS, team)
        given = MembershipAddSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        person = person_find(given.validated_data["person"])
        row = membership_add(team=team, user=person, role=given.validated_data["role"], actor=person_of(request.user))
        return Response(MembershipSerializer(row).data, status=201)

    @extend_schema(
        parameters=[OpenApiParameter("username", str, "path")],
        request=MembershipChangeSerializer,
        responses=MembershipSerializer,
    )
    @action(detail=True, methods=["patch"], url_path=rf"members/(?P<username>{USERNAME})", filter_backends=[])
    def member(self, request: Request, slug: str, username: str) -> Response:
        """Give a member another role."""
        membership = self._membership(slug, username)
        require(person_of(request.user), AccountsPermission.MANAGE_MEMBERS, membership.team)
        given = MembershipChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        row = membership_change(
            membership=membership,
            role=given.validated_data["role"],
            actor=person_of(request.user),
        )
        return Response(MembershipSerializer(row).data)

    @extend_schema(parameters=[OpenApiParameter("username", str, "path")], request=None, responses={204: None})
    @member.mapping.delete
    def member_remove(self, request: Request, slug: str, username: str) -> Response:
        """Take a person out of the team."""
        membership_remove(membership=self._membership(slug, username), actor=person_of(request.user))
        return Response(status=204)

    def _team(self, slug: str) -> Team:
        return get_object_or_404(Team.objects.visible_to(person_of(self.request.user)), slug=slug)

    def _membership(self, slug: str, username: str) -> Membership:
        rows = Membership.objects.select_related("team", "user")
        return get_object_or_404(rows, team=self._team(slug), user__username=username)


class UserViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[User]):
    """You and the people of your teams; everybody for platform engineers and auditors."""

    serializer_class = UserSerializer
    queryset = User.objects.none()
    lookup_field = "username"
    lookup_value_regex = USERNAME
    search_fields = ("username", "first_name", "last_name", "email")
    ordering_fields = ("username", "first_name", "last_name")
    ordering = ("username",)

    def get_queryset(self) -> QuerySet[User]:
        if getattr(self, "swagger_fake_view", False):
            return User.objects.none()
        return User.objects.visible_to(person_of(self.request.user)).filter(is_active=True)


@extend_schema_view(
    list=extend_schema(responses=forced_singular_serializer(MeSerializer), operation_id="me_retrieve", filters=False)
)
class MeViewSet(viewsets.GenericViewSet[User]):
    """Who the token or the session belongs to."""

    serializer_class = MeSerializer
    queryset = User.objects.none()
    pagination_class = None
    filter_backends = ()

    def list(self, request: Request) -> Response:
        return Response(MeSerializer(person_of(request.user)).data)
