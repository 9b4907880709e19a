"""Noticing what happened to aliases outside Slipway: MLflow keeps no history and names nobody.

What is compared with is the newest `AliasMove` of each alias, not the index, which can be dropped at any time.
"""

from datetime import datetime

from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.audit.services import audit_record
from apps.notifications.services import notify
from apps.registry.auditing import AuditTarget
from apps.registry.models import AliasMove, ModelAlias, RegisteredModel

Via = AliasMove.Via


def aliases_known(model: RegisteredModel) -> dict[str, int | None]:
    """Where each alias was by the newest move known; None for one that was taken away."""
    rows = AliasMove.objects.filter(model_name=model.name, born=model.born)
    newest = rows.order_by("alias", "-noticed_at", "-id").distinct("alias")
    return dict(newest.values_list("alias", "to_version"))


def aliases_differ(known: dict[str, int | None], now: dict[str, int]) -> bool:
    return {alias: version for alias, version in known.items() if version is not None} != now


def aliases_compare(*, model: RegisteredModel, now: dict[str, int], first_reading: bool) -> list[AliasMove]:
    """Record what differs from what is known. The caller holds the model's lock, under which `now` was read.

    At the first reading of a registry an alias that nobody knows of is how things were, and nobody is told.
    """
    known, moment = aliases_known(model), timezone.now()
    moves = [
        AliasMove(
            model_name=model.name,
            born=model.born,
            alias=alias,
            from_version=known.get(alias),
            to_version=now.get(alias),
            via=Via.FOUND if first_reading and alias not in known else Via.ELSEWHERE,
            noticed_at=moment,
        )
        for alias in sorted(known.keys() | now.keys())
        if known.get(alias) != now.get(alias)
    ]
    AliasMove.objects.bulk_create(moves)
    for move in moves:
        if move.via == Via.ELSEWHERE:
            _tell(model, move)
    return moves


def aliases_write(model: RegisteredModel, now: dict[str, int], promoted_at: datetime | None = None) -> None:
    """The index follows."""
    kept = ModelAlias.objects.filter(model=model)
    if dict(kept.values_list("alias", "version")) != now:
        kept.exclude(alias__in=now).delete()
        ModelAlias.objects.bulk_create(
            [ModelAlias(model=model, alias=alias, version=version) for alias, version in now.items()],
            update_conflicts=True,
            unique_fields=["model", "alias"],
            update_fields=["version"],
        )
    if promoted_at is not None:
        model.last_promoted_at = promoted_at
        model.save(update_fields=["last_promoted_at"])


def _tell(model: RegisteredModel, move: AliasMove) -> None:
    audit_record(
        action="registry:alias:moved-elsewhere",
        actor=None,
        target=AuditTarget(model),
        team_id=model.team_id,
        before={"alias": move.alias, "version": move.from_version},
        after={"alias": move.alias, "version": move.to_version},
        via="MLflow",
    )
    url = reverse("registry:model", args=[model.name])
    for person in _listeners(model):
        notify(user=person, text=_sentence(move), url=url, action="Open model", key=f"alias-move:{move.pk}")


def _sentence(move: AliasMove) -> str:
    name, alias = _short(move.model_name), _short(move.alias)
    if move.to_version is None:
        return f"{alias} of {name} was taken away from version {move.from_version} outside Slipway"
    if move.from_version is None:
        return f"{alias} of {name} was set to version {move.to_version} outside Slipway"
    return f"{alias} of {name} was moved from version {move.from_version} to {move.to_version} outside Slipway"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def _listeners(model: RegisteredModel) -> list[User]:
    """The owner; without one those who answer for the team."""
    if model.owner is not None and model.owner.is_active:
        return [model.owner]
    if model.team_id is None:
        return []
    managers = Membership.objects.filter(team_id=model.team_id, role=Membership.Role.MANAGER, user__is_active=True)
    return [membership.user for membership in managers.select_related("user")]
