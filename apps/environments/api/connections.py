"""`/api/v1/connections/` and `/api/v1/environments/{id}/connection/`: how notebooks find and reach clusters.

Both answer a person, and an environment by its own token; that one sees clusters of its team alone.
"""

from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.authentication import ConnectScope
from apps.accounts.models import ApiToken
from apps.accounts.requests import person_of
from apps.environments.clusters import clusters_of, connect_of
from apps.environments.models import Environment
from apps.environments.selectors import versions_once
from apps.environments.services.connecting import connection_give
from apps.environments.services.values import app_url
from apps.environments.words import status_word


class ClusterFilter(django_filters.FilterSet):
    kind = django_filters.CharFilter(field_name="module_version__interface__connect__kind", max_length=40)
    name = django_filters.CharFilter(field_name="name")
    team = django_filters.CharFilter(field_name="team__slug")

    class Meta:
        model = Environment
        fields = ("kind", "name", "team")


class ClusterSerializer(serializers.ModelSerializer[Environment]):
    """A cluster to connect to; its credentials are asked for one by one."""

    kind = serializers.SerializerMethodField(help_text="The kind of client: for example dask or spark.")
    team = serializers.SlugRelatedField(slug_field="slug", read_only=True)
    owner = serializers.SlugRelatedField(slug_field="username", read_only=True)
    status_words = serializers.SerializerMethodField(help_text="The status as people read it.")
    page = serializers.SerializerMethodField(help_text="Its page in Slipway.")
    app_url = serializers.SerializerMethodField(help_text="Where its dashboard opens.")

    class Meta:
        model = Environment
        fields = ("id", "name", "slug", "kind", "status", "status_words", "team", "owner", "page", "app_url")
        read_only_fields = fields

    def get_kind(self, environment: Environment) -> str:
        return (connect_of(environment) or {}).get("kind", "")

    def get_status_words(self, environment: Environment) -> str:
        return status_word(environment).label

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_page(self, environment: Environment) -> str:
        return f"{settings.PORTAL_URL}{reverse('environments:detail', args=[environment.pk])}"

    @extend_schema_field({"type": "string", "format": "uri"})
    def get_app_url(self, environment: Environment) -> str:
        return app_url(environment.slug)


class ConnectionSerializer(serializers.Serializer[Any]):
    """Address and credentials; `tls` where the client shows a certificate, `token` where it shows that."""

    kind = serializers.CharField()
    address = serializers.CharField()
    versions = serializers.DictField(child=serializers.CharField(), help_text="Of Python and of packages.")
    expires_at = serializers.CharField(required=False, help_text="Until when a new connection can be made with it.")
    tls = serializers.DictField(child=serializers.CharField(), required=False, help_text="PEM: ca, certificate, key.")
    token = serializers.CharField(required=False)
    workers = serializers.IntegerField(required=False)
    minimum = serializers.IntegerField(required=False)
    maximum = serializers.IntegerField(required=False)


class _Clusters(viewsets.GenericViewSet[Environment]):
    queryset = Environment.objects.none()
    permission_classes = (IsAuthenticated, ConnectScope)

    def get_queryset(self) -> QuerySet[Environment]:
        rows = clusters_of(user=person_of(self.request.user), caller=_caller(self.request))
        rows = rows.living().select_related("team", "owner", "workspace").prefetch_related(versions_once())
        return rows.defer("inputs_cipher", "secrets_cipher", "settled_cipher", "workspace__resources")


@extend_schema_view(list=extend_schema(summary="Clusters you may see"))
class ClusterViewSet(mixins.ListModelMixin, _Clusters):
    serializer_class = ClusterSerializer
    filterset_class = ClusterFilter
    search_fields = ("name", "slug", "owner__username")
    ordering_fields = ("name", "status", "created_at")
    ordering = ("-created_at",)


class ConnectionViewSet(_Clusters):
    """One cluster's connection, made for whoever asks. Every time is in the audit log."""

    serializer_class = ConnectionSerializer
    filter_backends = ()
    pagination_class = None
    gives_secrets = True

    @extend_schema(
        operation_id="environments_connection",
        summary="Connect to a cluster: address and credentials",
        responses={
            200: ConnectionSerializer,
            409: OpenApiResponse(
                description="It does not run, or runs on another machine than the environment asking."
            ),
            503: OpenApiResponse(description="It does not answer just now."),
        },
    )
    def list(self, request: Request, pk: str) -> Response:
        environment = self.get_queryset().filter(pk=pk).first()
        if environment is None:
            raise Http404
        given = connection_give(environment=environment, actor=person_of(request.user), caller=_caller(request))
        return Response(given, headers={"Cache-Control": "no-store"})


def _caller(request: Request) -> Environment | None:
    """The environment whose own token asks. Its token ends with it, so it is there."""
    token = request.auth
    if not isinstance(token, ApiToken) or token.environment_id is None:
        return None
    caller = Environment.objects.visible_to(token.user).select_related("workspace").filter(pk=token.environment_id)
    found = caller.defer("inputs_cipher", "secrets_cipher", "settled_cipher", "workspace__resources").first()
    if found is None:
        raise Http404
    return found
