"""Everybody of a model's team works on it; platform engineers and auditors look at all of them."""

from enum import StrEnum

from apps.accounts.models import Membership, User
from apps.core.exceptions import NotAllowed
from apps.registry.models import RegisteredModel


class ModelPermission(StrEnum):
    MOVE_ALIAS = "registry:move-alias"
    WRITE_CARD = "registry:write-card"
    DESCRIBE = "registry:describe"
    REGISTER = "registry:register"


WORDS = {
    ModelPermission.MOVE_ALIAS: "moves its aliases",
    ModelPermission.WRITE_CARD: "writes its card",
    ModelPermission.DESCRIBE: "writes its description",
    ModelPermission.REGISTER: "registers versions of it",
}


def can(user: User, model: RegisteredModel) -> bool:
    """Whether the person may change the model: its team's members, while it is there."""
    if not user.is_active or model.team_id is None or model.gone_at is not None:
        return False
    return Membership.objects.filter(user=user, team_id=model.team_id).exists()


def require(user: User, permission: ModelPermission, model: RegisteredModel) -> None:
    """Raises `NotAllowed` (403), which says who may."""
    if can(user, model):
        return
    if model.gone_at is not None:
        raise NotAllowed("This model was deleted in MLflow; what is kept of it cannot be changed.")
    whose = f"team {model.team.name}" if model.team else "a team, and this model belongs to none,"
    raise NotAllowed(f"Only somebody of {whose} {WORDS[permission]}.")
