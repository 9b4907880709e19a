"""`/api/v1/rollouts/`: moving many environments of a module to another version."""

from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.models import Team
from apps.catalog.models import ModuleVersion
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput
from apps.environments.api.fields import InputsField
from apps.environments.models import Rollout, RolloutItem
from apps.environments.permissions import rollout_require
from apps.environments.rollout_selectors import rollout_counts
from apps.environments.services import rollouts as services
from apps.environments.services.rollouts.starting import LARGEST_WAVE, MOST, USUAL_WAVE

HEAVY = ("to_version__archive", "to_version__interface", "to_version__readme", "to_version__changelog", "inputs_cipher")


class RolloutSerializer(serializers.ModelSerializer[Rollout]):
    module = serializers.CharField(source="module.slug", read_only=True)
    version = serializers.CharField(source="to_version.version", read_only=True)
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)
    requested_by = serializers.SlugRelatedField(slug_field="username", read_only=True)
    inputs = serializers.DictField(read_only=True, help_text="Values given for all; sensitive ones are masked.")

    class Meta:
        model = Rollout
        fields = (
            "id", "module", "version", "scope", "team", "wave_size", "wave", "waves", "state", "reason", "inputs",
            "requested_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields


class RolloutDetailSerializer(RolloutSerializer):
    counts = serializers.SerializerMethodField(help_text="How many turns are in which state.")

    class Meta(RolloutSerializer.Meta):
        fields = (*RolloutSerializer.Meta.fields, "counts")  # type: ignore[assignment]

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "integer"}})
    def get_counts(self, rollout: Rollout) -> dict[str, int]:
        return rollout_counts(rollout)


class RolloutItemSerializer(serializers.ModelSerializer[RolloutItem]):
    environment = serializers.UUIDField(source="environment_id", read_only=True)
    environment_name = serializers.CharField(source="environment.name", read_only=True)
    owner = serializers.CharField(source="environment.owner.username", read_only=True)
    team = serializers.CharField(source="environment.team.slug", read_only=True)
    from_version = serializers.CharField(source="from_version.version", read_only=True)
    change = serializers.UUIDField(source="change_id", read_only=True, allow_null=True)

    class Meta:
        model = RolloutItem
        fields = (
            "environment", "environment_name", "owner", "team", "from_version", "wave", "state", "reason", "change",
            "settled_at",
        )  # fmt: skip
        read_only_fields = fields


class CandidateSerializer(serializers.Serializer[Any]):
    """One environment that a rollout would be about."""

    environment = serializers.UUIDField(source="environment.pk")
    environment_name = serializers.CharField(source="environment.name")
    from_version = serializers.CharField(source="environment.module_version.version")
    verdict = serializers.ChoiceField(choices=[verdict.value for verdict in services.Verdict])
    reason = serializers.CharField(allow_blank=True)


class RolloutWishSerializer(serializers.Serializer[Any]):
    """To which version of which module, and whom: named environments, a team's, or all."""

    module = serializers.CharField(max_length=60, help_text="Slug of a module.")
    version = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="Default: the latest.")
    team = serializers.CharField(max_length=40, required=False, allow_null=True, help_text="Only this team's.")
    environments = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_null=True, max_length=MOST, help_text="Only these."
    )
    wave_size = serializers.IntegerField(min_value=1, max_value=LARGEST_WAVE, required=False, default=USUAL_WAVE)
    inputs = InputsField(required=False, default=dict, help_text="Values for all who ask for them.")


class RolloutSkipSerializer(serializers.Serializer[Any]):
    environment = serializers.UUIDField()


class RolloutGiveSerializer(serializers.Serializer[Any]):
    inputs = InputsField()


class RolloutFilter(django_filters.FilterSet):
    module = django_filters.CharFilter(field_name="module__slug")
    state = django_filters.MultipleChoiceFilter(choices=Rollout.State.choices)

    class Meta:
        model = Rollout
        fields = ("module", "state")


@extend_schema_view(
    list=extend_schema(summary="Rollouts; platform engineers and auditors see them"),
    retrieve=extend_schema(summary="One rollout"),
)
class RolloutViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[Rollout]
):
    serializer_class = RolloutSerializer
    queryset = Rollout.objects.none()
    filterset_class = RolloutFilter
    ordering_fields = ("created_at", "state")
    ordering = ("-created_at",)
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"

    def get_serializer_class(self) -> Any:
        return RolloutSerializer if self.action == "list" else RolloutDetailSerializer

    def get_queryset(self) -> QuerySet[Rollout]:
        rows = Rollout.objects.visible_to(self.request.user).defer(*HEAVY)
        return rows.select_related("module", "to_version", "team", "requested_by")

    def _answer(self, rollout: Rollout, status: int = 200) -> Response:
        return Response(RolloutDetailSerializer(self.get_queryset().get(pk=rollout.pk)).data, status=status)

    def _read(self, request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        asked = shape(data=request.data)
        asked.is_valid(raise_exception=True)
        return asked.validated_data

    def _wish(self, request: Request) -> dict[str, Any]:
        """What was sent, as the services take it. Raises `NotAllowed` before anything is looked up."""
        rollout_require(self.request.user)
        asked = self._read(request, RolloutWishSerializer)
        team = Team.objects.visible_to(request.user).filter(slug=asked["team"]).first() if asked.get("team") else None
        if asked.get("team") and team is None:
            raise InvalidInput(errors={"team": ["There is no such team."]})
        return {
            "version": _version(request, asked["module"], asked.get("version")),
            "team": team,
            "environments": asked.get("environments"),
            "inputs": asked["inputs"],
            "wave_size": asked["wave_size"],
        }

    @extend_schema(summary="Begin a rollout", request=RolloutWishSerializer, responses={201: RolloutDetailSerializer})
    def create(self, request: Request) -> Response:
        return self._answer(services.rollout_start(actor=request.user, **self._wish(request)), 201)

    @extend_schema(
        summary="Who would be meant, and what stands in their way; begins nothing",
        request=RolloutWishSerializer,
        responses=CandidateSerializer(many=True),
        filters=False,
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    def look(self, request: Request) -> Response:
        wish = self._wish(request)
        wish.pop("wave_size")
        return Response(CandidateSerializer(services.rollout_look(**wish), many=True).data)

    @extend_schema(summary="Its turns, by wave", responses=RolloutItemSerializer(many=True), filters=False)
    @action(detail=True)
    def items(self, request: Request, pk: str = "") -> Response:
        rows = RolloutItem.objects.visible_to(request.user).filter(rollout=self.get_object())
        rows = rows.select_related("environment__owner", "environment__team", "from_version")
        rows = rows.defer("from_version__archive", "from_version__interface", "from_version__readme")
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(RolloutItemSerializer(page, many=True).data)

    @extend_schema(summary="Try again what failed, and go on", request=None, responses=RolloutDetailSerializer)
    @action(detail=True, methods=["post"], url_path="continue", url_name="continue")
    def go_on(self, request: Request, pk: str = "") -> Response:
        return self._answer(services.rollout_continue(rollout=self.get_object(), actor=request.user))

    @extend_schema(
        summary="Leave one environment out", request=RolloutSkipSerializer, responses=RolloutDetailSerializer
    )
    @action(detail=True, methods=["post"])
    def skip(self, request: Request, pk: str = "") -> Response:
        rollout = self._permitted()
        environment_id: UUID = self._read(request, RolloutSkipSerializer)["environment"]
        return self._answer(services.rollout_skip(rollout=rollout, environment_id=environment_id, actor=request.user))

    @extend_schema(
        summary="Values for all who ask for them", request=RolloutGiveSerializer, responses=RolloutDetailSerializer
    )
    @action(detail=True, methods=["post"])
    def values(self, request: Request, pk: str = "") -> Response:
        rollout = self._permitted()
        inputs = self._read(request, RolloutGiveSerializer)["inputs"]
        return self._answer(services.rollout_give(rollout=rollout, inputs=inputs, actor=request.user))

    @extend_schema(summary="Begin nothing further", request=None, responses=RolloutDetailSerializer)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str = "") -> Response:
        return self._answer(services.rollout_stop(rollout=self.get_object(), actor=request.user))

    def _permitted(self) -> Rollout:
        rollout = self.get_object()
        rollout_require(self.request.user)
        return rollout


def _version(request: Request, slug: str, version: str | None) -> ModuleVersion:
    rows = ModuleVersion.objects.visible_to(request.user).select_related("module").defer("archive")
    rows = rows.filter(module__slug=slug)
    if not rows.exists():
        raise InvalidInput(errors={"module": [f"There is no module “{slug}” in the catalog."]})
    latest = rows.filter(module__latest_version__isnull=False).first()
    found = rows.filter(version=version).first() if version else None
    if not version and latest is not None:
        found = rows.filter(pk=latest.module.latest_version_id).first()
    if found is None:
        raise InvalidInput(
            errors={"version": [f"It has no version {version}." if version else "Nothing is published."]}
        )
    return found
