from typing import Any

from apps.registry.api.views import (
    AliasMoveViewSet,
    ModelAliasViewSet,
    ModelCardViewSet,
    RegisteredModelViewSet,
    RegisteredVersionViewSet,
)

MODEL = r"models/(?P<model_name>[^/]+)"

routes: list[tuple[str, Any, str]] = [
    ("models", RegisteredModelViewSet, "registered-model"),
    (f"{MODEL}/versions", RegisteredVersionViewSet, "registered-version"),
    (f"{MODEL}/aliases", ModelAliasViewSet, "model-alias"),
    (f"{MODEL}/alias-moves", AliasMoveViewSet, "alias-move"),
    (f"{MODEL}/cards", ModelCardViewSet, "model-card"),
]
