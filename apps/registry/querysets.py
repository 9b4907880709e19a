from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.registry.models import ModelAlias, ModelVersion, RegisteredModel


class RegisteredModelQuerySet(models.QuerySet["RegisteredModel"]):
    def visible_to(self, user: "User") -> "RegisteredModelQuerySet":
        """Those of one's teams; everything, also what belongs to nobody, for platform engineers and auditors."""
        if not user.is_active:
            return self.none()
        if user.sees_everything:
            return self
        return self.filter(team__in=user.memberships.values("team_id"))

    def kept(self) -> "RegisteredModelQuerySet":
        """Without those that were deleted in MLflow."""
        return self.filter(gone_at=None)


def _models_seen(user: "User") -> Any:
    from apps.registry.models import RegisteredModel

    return RegisteredModel.objects.visible_to(user)


class ModelVersionQuerySet(models.QuerySet["ModelVersion"]):
    def visible_to(self, user: "User") -> "ModelVersionQuerySet":
        """Whoever sees a model sees its versions."""
        return self.filter(model__in=_models_seen(user))


class ModelAliasQuerySet(models.QuerySet["ModelAlias"]):
    def visible_to(self, user: "User") -> "ModelAliasQuerySet":
        return self.filter(model__in=_models_seen(user))
