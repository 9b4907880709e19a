"""Noticing what happened to aliases at MLflow, which keeps no history and names nobody.

What is compared with is the newest `AliasMove` of each alias, not the index, which can be dropped at any time. Whoever
moved one through `/mlflow/` is known from what the route wrote down; what nobody knows of was moved outside Slipway.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.audit.services import audit_record
from apps.environments.models import Environment
from apps.experiments.model_writes import ModelWrite, writes_forget, writes_read
from apps.notifications.services import notify
from apps.registry.auditing import AuditTarget
from apps.registry.models import AliasMove, ModelAlias, RegisteredModel
from apps.registry.services.attributing import Step, answered, concerns, explain, since_it_is_there

Via = AliasMove.Via


@dataclass
class Compared:
    """`settled` is False where a call is under way that would explain what was found: look again in a moment."""

    moves: list[AliasMove] = field(default_factory=list)
    settled: bool = True

    @property
    def promoted_at(self) -> datetime | None:
        """When an alias was last set, of what was not just found there."""
        moments = [move.moved_at or move.noticed_at for move in self.moves if move.to_version and move.via != Via.FOUND]
        return max(moments, default=None)


def aliases_known(model: RegisteredModel) -> dict[str, int | None]:
    """Where each alias was by the newest move known; None for one that was taken away."""
    return {alias: move.to_version for alias, move in _newest(model).items()}


def _newest(model: RegisteredModel) -> dict[str, AliasMove]:
    rows = AliasMove.objects.filter(model_name=model.name, born=model.born)
    newest = rows.order_by("alias", "-noticed_at", "-id").distinct("alias")
    return {move.alias: move for move in newest.only("alias", "to_version", "via", "moved_at")}


def aliases_differ(known: dict[str, int | None], now: dict[str, int]) -> bool:
    return {alias: version for alias, version in known.items() if version is not None} != now


def writes_seen(name: str) -> frozenset[str]:
    """The calls through `/mlflow/` whose doing an answer of MLflow shows that is asked for after this."""
    return answered(writes_read(name))


def aliases_compare(
    *, model: RegisteredModel, now: dict[str, int], first_reading: bool, seen: Collection[str]
) -> Compared:
    """Record what differs from what is known. The caller holds the model's lock, under which `now` was read.

    `seen` is `writes_seen` from before `now` was read. At the first reading of a registry an alias that nobody knows of
    is how things were, and nobody is told.
    """
    newest, writes = _newest(model), writes_read(model.name)
    live = since_it_is_there(writes) if model.gone_at is None else writes
    moment, compared, used, waiting = timezone.now(), Compared(), set(seen), []
    for alias in sorted(newest.keys() | now.keys() | {write.alias for write in live if write.alias}):
        last = newest.get(alias)
        if first_reading and alias not in newest:
            steps = [Step(None, now[alias])] if alias in now else []
        else:
            at, fresh = (last.to_version, _after(last, live)) if last else (None, live)
            found = explain(alias, at=at, now=now.get(alias), writes=fresh, seen=seen)
            steps = found.steps
            used |= found.used
            if found.waits:
                waiting.append(alias)
        compared.moves += _moves(model, alias, steps, moment, is_new=first_reading and alias not in newest)
    compared.settled = not waiting
    AliasMove.objects.bulk_create(compared.moves)
    for move in compared.moves:
        _audit(model, move)
    # However often a script has moved one meanwhile, its newest move is what people are told.
    for move in {move.alias: move for move in compared.moves}.values():
        _tell(model, move)
    done = [one for one in writes if one.key in used and not any(concerns(one, alias) for alias in waiting)]
    transaction.on_commit(lambda: writes_forget(model.name, done))
    return compared


def _after(last: AliasMove, writes: list[ModelWrite]) -> list[ModelWrite]:
    """Without those that have made moves already, and are forgotten only when that is committed."""
    if last.via != Via.MLFLOW or last.moved_at is None:
        return writes
    return [write for write in writes if write.ended is None or write.moment > last.moved_at]


def _moves(model: RegisteredModel, alias: str, steps: list[Step], moment: datetime, *, is_new: bool) -> list[AliasMove]:
    people, environments = _named([step.write for step in steps if step.write])
    moves = []
    for number, step in enumerate(steps):
        actor = people.get(step.write.user) if step.write else None
        moves.append(
            AliasMove(
                model_name=model.name,
                born=model.born,
                alias=alias,
                from_version=step.from_version,
                to_version=step.to_version,
                actor=actor,
                actor_name=actor.username if actor else "",
                environment=environments.get(step.write.environment) if actor and step.write else None,
                via=Via.MLFLOW if actor else Via.FOUND if is_new else Via.ELSEWHERE,
                moved_at=step.write.moment if actor and step.write else None,
                # They have an order, though they are noticed at once.
                noticed_at=moment + timedelta(microseconds=number),
            )
        )
    return moves


def _named(writes: list[ModelWrite]) -> tuple[dict[str, User], dict[str, Environment]]:
    """People by their names, and environments by their ids, of the tokens that were used."""
    if not writes:
        return {}, {}
    people = User.objects.in_bulk({write.user for write in writes}, field_name="username")
    wanted = [UUID(write.environment) for write in writes if write.environment]
    rows = Environment.objects.filter(pk__in=wanted).only("pk", "name", "team_id") if wanted else ()
    return people, {str(row.pk): row for row in rows}


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


def _audit(model: RegisteredModel, move: AliasMove) -> None:
    if move.via == Via.FOUND:
        return
    action = "registry:alias:moved-elsewhere"
    if move.via == Via.MLFLOW:
        action = "registry:alias:set" if move.to_version else "registry:alias:deleted"
    after = {"alias": move.alias, "version": move.to_version}
    if move.environment is not None:
        after["environment"] = str(move.environment.pk)
    audit_record(
        action=action,
        actor=move.actor,
        target=AuditTarget(model),
        team_id=model.team_id,
        before={"alias": move.alias, "version": move.from_version},
        after=after,
        via="MLflow",
    )


def _tell(model: RegisteredModel, move: AliasMove) -> None:
    """Whoever answers for the model hears of it, unless it was themselves."""
    if move.via == Via.FOUND:
        return
    url = reverse("registry:model", args=[model.name])
    for person in _listeners(model):
        if person != move.actor:
            notify(user=person, text=_sentence(move), url=url, action="Open model", key=f"alias-move:{move.pk}")


def _sentence(move: AliasMove) -> str:
    name, alias = _short(move.model_name), _short(move.alias)
    how = f"by {move.actor.display_name} through MLflow" if move.actor else "outside Slipway"
    if move.to_version is None:
        return f"{alias} of {name} was taken away from version {move.from_version} {how}"
    if move.from_version is None:
        return f"{alias} of {name} was set to version {move.to_version} {how}"
    return f"{alias} of {name} was moved from version {move.from_version} to {move.to_version} {how}"


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
