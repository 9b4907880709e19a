"""`/api/v1/usage/`: what was used, by whom and when."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import viewsets
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import Team, User
from apps.accounts.requests import person_of
from apps.core.exceptions import InvalidInput
from apps.metering.api.serializers import UsagePageSerializer, UsageQuerySerializer, UsageSerializer
from apps.metering.selectors import Usage, usage

MOST_ROWS = 10_000


class UsageViewSet(viewsets.ViewSet):
    """Core-, memory-, GPU- and disk-seconds of what one may see: one's own environments and those of one's teams."""

    @extend_schema(
        operation_id="usage_list",
        summary="What was used, in a window of time",
        parameters=[UsageQuerySerializer],
        responses=UsagePageSerializer,
    )
    def list(self, request: Request) -> Response:
        asked = UsageQuerySerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        rows = _rows(person_of(request.user), values)
        if len(rows) > MOST_ROWS:
            words = f"More than {MOST_ROWS} rows: ask for fewer days or groups."
            raise InvalidInput(words, errors={"by": [words]})
        results = UsageSerializer(_named(rows), many=True).data
        window = {"start": values["start"], "end": values["end"]}
        return Response({"results": results, "next": None, "previous": None, "count": len(rows), **window})


def _rows(person: User, values: dict[str, Any]) -> list[Usage]:
    """Of a team or person that does not exist nothing was used; that it does not is not told."""
    wanted: dict[str, Any] = {"environment_id": values.get("environment")}
    if "team" in values:
        wanted["team_id"] = Team.objects.filter(slug=values["team"]).values_list("pk", flat=True).first()
    if "user" in values:
        wanted["user_id"] = User.objects.filter(username=values["user"]).values_list("pk", flat=True).first()
    if any(name in values and wanted[f"{name}_id"] is None for name in ("team", "user")):
        return []
    return usage(
        start=values["start"],
        end=values["end"],
        by=values.get("by", ()),
        visible_to=person,
        limit=MOST_ROWS + 1,
        **wanted,
    )


def _named(rows: list[Usage]) -> list[dict[str, Any]]:
    """Ids of people and teams as the names by which the rest of the API knows them."""
    teams = dict(Team.objects.filter(pk__in={row.team_id for row in rows if row.team_id}).values_list("pk", "slug"))
    users = dict(User.objects.filter(pk__in={row.user_id for row in rows if row.user_id}).values_list("pk", "username"))
    return [
        {
            **asdict(row),
            "team": teams.get(row.team_id) if row.team_id else None,
            "user": users.get(row.user_id) if row.user_id else None,
            "environment": row.environment_id,
        }
        for row in rows
    ]
