from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.accounts.models import Membership, Team, User
from apps.core.api.rows import RowSerializer


class UserSerializer(RowSerializer[User]):
    """A person as teammates see them."""

    name = serializers.CharField(source="display_name", read_only=True)

    class Meta:
        model = User
        fields = ("id", "username", "name", "email", "is_platform_engineer", "is_auditor")
        read_only_fields = fields


class TeamSerializer(RowSerializer[Team]):
    role = serializers.SerializerMethodField(help_text="Your role in the team, null when you only look.")
    member_count = serializers.IntegerField(read_only=True)

    class Meta:
        model = Team
        fields = ("id", "slug", "name", "role", "member_count", "created_at")
        read_only_fields = fields

    @extend_schema_field(serializers.ChoiceField(choices=Membership.Role.choices, allow_null=True))
    def get_role(self, team: Team) -> str | None:
        return self.context.get("roles", {}).get(team.pk)


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    user = UserSerializer(read_only=True)

    class Meta:
        model = Membership
        fields = ("id", "user", "role", "created_at")
        read_only_fields = fields


class MembershipAddSerializer(serializers.Serializer[Any]):
    person = serializers.CharField(max_length=254, help_text="Username or e-mail address.")
    role = serializers.ChoiceField(choices=Membership.Role.choices, default=Membership.Role.MEMBER)


class MembershipChangeSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Membership.Role.choices)


class OwnTeamSerializer(serializers.Serializer[Any]):
    slug = serializers.SlugField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)


class MeSerializer(UserSerializer):
    teams = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = (*UserSerializer.Meta.fields, "time_zone", "teams")
        read_only_fields = fields

    @extend_schema_field(OwnTeamSerializer(many=True))
    def get_teams(self, user: User) -> list[dict[str, str]]:
        rows = user.memberships.select_related("team").order_by("team__name")
        return [{"slug": row.team.slug, "name": row.team.name, "role": row.role} for row in rows]
