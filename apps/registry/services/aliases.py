"""Moving aliases. MLflow lets the last writer win; here a move says where it starts from, and a conflict is told."""

import re
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.experiments.exceptions import TrackerRefused
from apps.registry import gateway, reading
from apps.registry.auditing import AuditTarget
from apps.registry.exceptions import AliasInvalid, AliasMoved, ModelGone
from apps.registry.models import AliasMove, ModelVersion, RegisteredModel
from apps.registry.permissions import ModelPermission, require
from apps.registry.services.locking import model_lock
from apps.registry.services.sentinel import aliases_compare, aliases_write, writes_seen

ALIAS = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
# MLflow's own words: "latest", and "v3" for a version.
RESERVED = re.compile(r"latest|v[0-9]+", re.ASCII | re.IGNORECASE)


def alias_set(
    *, model: RegisteredModel, actor: User, alias: str, version: int, from_version: int | None
) -> AliasMove | None:
    """Point an alias at a version; `from_version` is where the person saw it, None where it was not there.

    None where it is there already. Raises `AliasInvalid` (fields alias, version), `AliasMoved`, `NotAllowed`,
    `ModelGone`, `TrackerAway`.
    """
    require(actor, ModelPermission.MOVE_ALIAS, model)
    if not ALIAS.fullmatch(alias) or RESERVED.fullmatch(alias):
        text = "Use up to 100 letters, digits, hyphens and underscores; “latest” and “v1” are words of MLflow's own."
        raise AliasInvalid(errors={"alias": [text]})
    if not ModelVersion.objects.filter(model=model, version=version).exists():
        raise AliasInvalid(errors={"version": [f"There is no version {version} of {model.name}."]})
    return _moved_or_told(_move(model, actor, alias, version, from_version))


def alias_delete(*, model: RegisteredModel, actor: User, alias: str, from_version: int | None) -> AliasMove | None:
    """Take an alias away. None where it is away already. Raises as `alias_set`."""
    require(actor, ModelPermission.MOVE_ALIAS, model)
    return _moved_or_told(_move(model, actor, alias, None, from_version))


def _moved_or_told(outcome: AliasMove | AliasMoved | None) -> AliasMove | None:
    """The conflict is raised when what was noticed on the way has been committed."""
    if isinstance(outcome, AliasMoved):
        raise outcome
    return outcome


@transaction.atomic
def _move(
    model: RegisteredModel, actor: User, alias: str, version: int | None, from_version: int | None
) -> AliasMove | AliasMoved | None:
    """Under the model's lock: read where the aliases are, compare, write to MLflow, then here."""
    model_lock(model.name)
    seen = writes_seen(model.name)
    data = gateway.model_get(model.name)
    if data is None or reading.whole(data.get("creation_timestamp")) != model.born:
        raise ModelGone(f"{model.name} was deleted or renamed in MLflow meanwhile.")
    now = reading.aliases_read(data)
    # Moved at MLflow since the last round: that comes into the history first, and stays there if this one is refused.
    compared = aliases_compare(model=model, now=now, first_reading=False, seen=seen)
    aliases_write(model, now, compared.promoted_at)
    if now.get(alias) == version:
        return None
    if now.get(alias) != from_version:
        return _conflict(alias, now.get(alias), from_version)
    try:
        if version is None:
            gateway.alias_remove(model.name, alias)
        else:
            gateway.alias_write(model.name, alias, version)
    except TrackerRefused as refused:
        raise AliasInvalid(errors={"alias": [str(refused)]}) from refused
    return _moved(model, actor, alias, now, version)


def _moved(model: RegisteredModel, actor: User, alias: str, now: dict[str, int], version: int | None) -> AliasMove:
    moment = timezone.now()
    move = AliasMove.objects.create(
        model_name=model.name,
        born=model.born,
        alias=alias,
        from_version=now.get(alias),
        to_version=version,
        actor=actor,
        actor_name=actor.username,
        via=AliasMove.Via.SLIPWAY,
        moved_at=moment,
        noticed_at=moment,
    )
    after = {name: at for name, at in now.items() if name != alias}
    aliases_write(model, after if version is None else {**after, alias: version}, moment if version else None)
    # The next round looks at it anew, also where MLflow's list then says the same as before this move.
    RegisteredModel.objects.filter(pk=model.pk).update(fingerprint="")
    values: dict[str, Any] = {"before": {"alias": alias, "version": move.from_version}}
    if version is not None:
        values["after"] = {"alias": alias, "version": version}
    verb = "set" if version is not None else "deleted"
    audit_record(
        action=f"registry:alias:{verb}", actor=actor, target=AuditTarget(model), team_id=model.team_id, **values
    )
    return move


def _conflict(alias: str, now: int | None, seen: int | None) -> AliasMoved:
    before = f"at version {seen}" if seen else "not set"
    after = f"it is at version {now} now" if now else "it has been taken away"
    text = f"{alias} was {before} when you opened the page; {after}. Nothing was changed. Look again, then decide."
    return AliasMoved(text, now=now)
