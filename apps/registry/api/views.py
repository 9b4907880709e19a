"""`/api/v1/models/` and what lies below a model: versions, aliases, cards. Thin over the services."""

import hashlib
import secrets
from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, viewsets
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.requests import person_of
from apps.core.api.idempotency import IdempotentWrites
from apps.core.exceptions import InvalidInput
from apps.registry.api.serializers import (
    AliasMoveSerializer,
    AliasSerializer,
    AliasWriteSerializer,
    ModelCardSerializer,
    ModelCardWriteSerializer,
    PredictionAnswerSerializer,
    PredictionSerializer,
    RegisteredModelDetailSerializer,
    RegisteredModelSerializer,
    RegisteredSerializer,
    RegisteredVersionDetailSerializer,
    RegisteredVersionSerializer,
    RegisterNewSerializer,
    RegisterSerializer,
)
from apps.registry.deployed import deployments_of
from apps.registry.exceptions import ModelNameTaken, RegisterInvalid
from apps.registry.models import AliasMove, ModelAlias, ModelCard, ModelVersion, RegisteredModel
from apps.registry.permissions import ModelPermission, require
from apps.registry.prediction import body_check
from apps.registry.selectors import cards_of, model_get, moves_of
from apps.registry.services.aliases import alias_delete, alias_set
from apps.registry.services.cards import card_write
from apps.registry.services.predicting import prediction_send
from apps.registry.services.registering import Registered, run_found, version_register

NAME = OpenApiParameter("model_name", str, OpenApiParameter.PATH, description="Name of the model.")
MOVED = OpenApiResponse(description="Somebody else moved it first; `errors.from_version` says where it is.")
NOT_DEPLOYED = OpenApiResponse(description="The version is deployed nowhere that you could ask, or no longer there.")
TAKEN = OpenApiResponse(description="There is a model of this name already.")
LARGEST = 2**31 - 1


def _read(request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    given = shape(data=request.data)
    given.is_valid(raise_exception=True)
    return dict(given.validated_data)


def _register(request: Request, asked: dict[str, Any], *, is_new: bool) -> Registered:
    """The same key of idempotency finds the version that it has made, also where our own answer was lost."""
    actor = person_of(request.user)
    run = run_found(user=actor, run_id=asked.pop("run"))
    if run is None:
        raise RegisterInvalid(errors={"run": ["There is no such run, or it is not shared with you."]})
    key = request.headers.get("Idempotency-Key", "")
    token = hashlib.sha256(f"{actor.pk} {key}".encode()).hexdigest() if key else secrets.token_urlsafe(18)
    try:
        return version_register(actor=actor, run=run, source=asked.pop("model"), is_new=is_new, request=token, **asked)
    except (RegisterInvalid, ModelNameTaken) as error:
        # The page has a field of its own for a new name.
        error.errors = {"name" if name == "new_name" else name: told for name, told in error.errors.items()}
        raise


@extend_schema_view(list=extend_schema(summary="Registered models"), retrieve=extend_schema(summary="One model"))
class RegisteredModelViewSet(
    IdempotentWrites, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[RegisteredModel]
):
    serializer_class = RegisteredModelSerializer
    queryset = RegisteredModel.objects.none()
    lookup_field = "name"
    lookup_value_regex = "[^/]+"
    search_fields = ("name", "description", "aliases__alias")
    filterset_fields = {"team__slug": ["exact"], "aliases__alias": ["exact"]}
    ordering_fields = ("name", "created_at", "changed_at", "last_promoted_at", "version_count")
    ordering = ("name",)

    def get_queryset(self) -> QuerySet[RegisteredModel]:
        rows = RegisteredModel.objects.visible_to(person_of(self.request.user))
        rows = rows.kept() if self.action == "list" else rows
        return rows.select_related("team", "owner").prefetch_related("aliases")

    def get_serializer_class(self) -> type[RegisteredModelSerializer]:
        return RegisteredModelDetailSerializer if self.action == "retrieve" else RegisteredModelSerializer

    def get_serializer_context(self) -> dict[str, Any]:
        found = dict(super().get_serializer_context())
        if self.action == "retrieve" and self.kwargs.get("name"):
            found["deployments"] = deployments_of([self.kwargs["name"]], person_of(self.request.user))
        return found

    @extend_schema(
        summary="Register what a run logged as the first version of a new model",
        request=RegisterNewSerializer,
        responses={201: RegisteredSerializer, 409: TAKEN},
    )
    def create(self, request: Request) -> Response:
        made = _register(request, _read(request, RegisterNewSerializer), is_new=True)
        return Response(RegisteredSerializer(made).data, status=201)


class _OfModel(IdempotentWrites):
    """What lies below a model that the person sees."""

    kwargs: dict[str, Any]
    request: Request

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        self.registered = self._model(request)

    def _model(self, request: Request) -> RegisteredModel:
        row = model_get(user=person_of(request.user), name=str(self.kwargs.get("model_name", ""))[:300])
        if row is None:
            raise Http404
        return row


@extend_schema_view(
    list=extend_schema(summary="Versions of a model, newest first", parameters=[NAME]),
    retrieve=extend_schema(
        summary="One version, with what its files say", parameters=[NAME], responses=RegisteredVersionDetailSerializer
    ),
)
class RegisteredVersionViewSet(
    _OfModel, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ModelVersion]
):
    serializer_class = RegisteredVersionSerializer
    queryset = ModelVersion.objects.none()
    lookup_field = "version"
    lookup_value_regex = "[0-9]{1,9}"
    filterset_fields = ("status", "run_id")
    ordering_fields = ("version", "created_at")
    ordering = ("-version",)

    def get_serializer_class(self) -> type[RegisteredVersionSerializer]:
        return RegisteredVersionDetailSerializer if self.action == "retrieve" else RegisteredVersionSerializer

    def get_queryset(self) -> QuerySet[ModelVersion]:
        rows = ModelVersion.objects.visible_to(person_of(self.request.user))
        rows = rows.filter(model=self.kwargs.get("model_name")).select_related("created_by")
        return rows.defer("files", "requirements", "example", "params", "signature") if self.action == "list" else rows

    @extend_schema(
        summary="Register what a run logged as the next version",
        parameters=[NAME],
        request=RegisterSerializer,
        responses={201: RegisteredSerializer},
    )
    def create(self, request: Request, model_name: str = "") -> Response:
        require(person_of(request.user), ModelPermission.REGISTER, self.registered)
        asked = {**_read(request, RegisterSerializer), "name": self.registered.name}
        made = _register(request, asked, is_new=False)
        return Response(RegisteredSerializer(made).data, status=201)

    @extend_schema(
        summary="Send a prediction to where the version is deployed",
        parameters=[NAME],
        request=PredictionSerializer,
        responses={200: PredictionAnswerSerializer, 409: NOT_DEPLOYED},
    )
    @action(detail=True, methods=["post"])
    def predict(self, request: Request, model_name: str = "", version: str = "") -> Response:
        row, asked = self.get_object(), _read(request, PredictionSerializer)
        row.model = self.registered
        answer = prediction_send(
            version=row,
            actor=person_of(request.user),
            deployment=asked["deployment"],
            payload=body_check(asked["body"]),
        )
        return Response(PredictionAnswerSerializer(answer).data)


@extend_schema_view(list=extend_schema(summary="Aliases of a model", parameters=[NAME]))
class ModelAliasViewSet(_OfModel, mixins.ListModelMixin, viewsets.GenericViewSet[ModelAlias]):
    serializer_class = AliasSerializer
    queryset = ModelAlias.objects.none()
    lookup_field = "alias"
    lookup_value_regex = "[^/]+"
    ordering = ("alias",)

    def get_queryset(self) -> QuerySet[ModelAlias]:
        rows = ModelAlias.objects.visible_to(person_of(self.request.user))
        return rows.filter(model=self.kwargs.get("model_name"))

    @extend_schema(
        summary="Point an alias at a version",
        parameters=[NAME],
        request=AliasWriteSerializer,
        responses={200: AliasSerializer, 409: MOVED},
    )
    def update(self, request: Request, model_name: str = "", alias: str = "") -> Response:
        asked = _read(request, AliasWriteSerializer)
        alias_set(model=self.registered, actor=person_of(request.user), alias=alias, **asked)
        return Response({"alias": alias, "version": asked["version"]})

    @extend_schema(
        summary="Take an alias away",
        parameters=[
            NAME,
            OpenApiParameter("from_version", int, required=True, description="The version you saw it at."),
        ],
        responses={204: None, 409: MOVED},
    )
    def destroy(self, request: Request, model_name: str = "", alias: str = "") -> Response:
        asked = request.query_params.get("from_version", "")
        if not (asked.isascii() and asked.isdigit() and len(asked) < 10):
            raise InvalidInput(errors={"from_version": ["Give the version that you saw the alias at."]})
        actor = person_of(request.user)
        alias_delete(model=self.registered, actor=actor, alias=alias, from_version=int(asked))
        return Response(status=204)


@extend_schema_view(list=extend_schema(summary="Who moved which alias, newest first", parameters=[NAME]))
class AliasMoveViewSet(_OfModel, mixins.ListModelMixin, viewsets.GenericViewSet[AliasMove]):
    serializer_class = AliasMoveSerializer
    queryset = AliasMove.objects.none()
    filterset_fields = ("alias", "via")
    ordering = ("-noticed_at",)

    def get_queryset(self) -> QuerySet[AliasMove]:
        return moves_of(self._model(self.request))


@extend_schema_view(
    list=extend_schema(summary="Versions of a model's card, newest first", parameters=[NAME]),
    retrieve=extend_schema(summary="One version of a model's card", parameters=[NAME]),
)
class ModelCardViewSet(_OfModel, mixins.ListModelMixin, mixins.RetrieveModelMixin, viewsets.GenericViewSet[ModelCard]):
    serializer_class = ModelCardSerializer
    queryset = ModelCard.objects.none()
    lookup_field = "number"
    lookup_value_regex = "[0-9]{1,9}"
    ordering = ("-number",)

    def get_queryset(self) -> QuerySet[ModelCard]:
        return cards_of(self._model(self.request))

    @extend_schema(
        summary="Write the next version of the card",
        parameters=[NAME],
        request=ModelCardWriteSerializer,
        responses={201: ModelCardSerializer},
    )
    def create(self, request: Request, model_name: str = "") -> Response:
        asked = _read(request, ModelCardWriteSerializer)
        card = card_write(model=self.registered, actor=person_of(request.user), **asked)
        return Response(ModelCardSerializer(card).data, status=201)
