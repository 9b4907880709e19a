"""Filling the index from MLflow. Every step can be run twice, by two workers at once, or be broken off anywhere."""

from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from apps.accounts.models import Membership, Team, User
from apps.audit.services import audit_record
from apps.core.clock import database_now
from apps.experiments.exceptions import TrackerAway
from apps.experiments.gateway.workspaces import in_workspace, model_place, workspaces
from apps.experiments.mlflow_ownership import team_of_model
from apps.experiments.mlflow_rules import TEAM_TAG
from apps.registry import gateway, reading
from apps.registry.auditing import AuditTarget
from apps.registry.models import AliasMove, ModelCard, RegisteredModel, RegistryIndex
from apps.registry.services.locking import model_lock
from apps.registry.services.sentinel import aliases_compare, aliases_differ, aliases_known, aliases_write, writes_seen
from apps.registry.services.versions import USER_TAG, versions_write

JSON = dict[str, Any]
LEASE = timedelta(seconds=60)
# A round ends after so long; what is left is found by the next one.
ROUND_SECONDS = 20.0
# So many models are read again in each round, the longest unread first: tags of versions change nothing else.
ROLLING = 5
OVERLAP_MS = 2_000
IN_BULK = 20


def registry_round() -> bool:
    """Read what is new in MLflow's registry. False where another worker is at it or MLflow gives no answer."""
    index, _ = RegistryIndex.objects.get_or_create(pk=1)
    now = database_now()
    free = RegistryIndex.objects.filter(Q(working_until=None) | Q(working_until__lt=now), pk=1)
    if not free.update(working_until=now + LEASE):
        return False
    until = monotonic() + ROUND_SECONDS
    try:
        _models_read(first_reading=index.imported_at is None)
        _versions_read(until)
        _versions_newest(index)
    except TrackerAway as away:
        rows = RegistryIndex.objects.filter(pk=1)
        rows.update(working_until=None, away_reason=away.reason[:300])
        rows.filter(away_since=None).update(away_since=now)
        return False
    now = database_now()
    values = {"read_at": now, "away_since": None, "away_reason": "", "working_until": None}
    RegistryIndex.objects.filter(pk=1).update(**values, imported_at=index.imported_at or now)
    return True


def registry_touch(name: str) -> RegisteredModel | None:
    """Read one model now, with its versions; what a hint or a write of our own calls. None where it is gone.

    Raises `TrackerAway`.
    """
    data = gateway.model_get(name)
    if data is None or not reading.name_usable(data):
        _gone_note(name)
        return None
    index = RegistryIndex.objects.filter(pk=1).first()
    _model_write(data, first_reading=index is None or index.imported_at is None)
    return _model_versions_read(name)


@transaction.atomic
def registry_drop() -> None:
    """Forget the index; the next round fills it again. Cards and moves stay."""
    RegisteredModel.objects.all().delete()
    RegistryIndex.objects.filter(pk=1).update(imported_at=None, read_at=None, versions_until=0)


def _models_read(*, first_reading: bool) -> None:
    known = dict(RegisteredModel.objects.values_list("name", "fingerprint"))
    found = {data["name"]: data for data in _models_all() if reading.name_usable(data)}
    missing = RegisteredModel.objects.kept().exclude(name__in=found.keys())
    for row in list(missing):
        _missing_settle(row, {name: data for name, data in found.items() if name not in known})
    for name, data in found.items():
        if known.get(name) != reading.fingerprint(data):
            _model_write(data, first_reading=first_reading)


def _models_all() -> list[JSON]:
    found: list[JSON] = []
    for workspace in workspaces():
        with in_workspace(workspace):
            found += gateway.models_all()
    return found


@transaction.atomic
def _model_write(data: JSON, *, first_reading: bool) -> None:
    """One model and its aliases as MLflow tells them. Its versions are to be read afterwards."""
    name, born = data["name"], reading.whole(data.get("creation_timestamp"))
    model_lock(name)
    row = RegisteredModel.objects.select_for_update().filter(name=name).first()
    if row is not None and row.born != born:
        row.delete()  # Another one has taken its name.
        row = None
    row = row or RegisteredModel(name=name, born=born)
    now, seen = reading.aliases_read(data), writes_seen(name)
    if seen or aliases_differ(aliases_known(row), now):
        # What was read before the lock may be older than a move made here, or through `/mlflow/`, meanwhile.
        fresh = gateway.model_get(name)
        if fresh is None or reading.whole(fresh.get("creation_timestamp")) != born:
            return
        data, now = fresh, reading.aliases_read(fresh)
    row.tags = reading.tags_read(data)
    row.team = team_of(data)
    row.owner = _owner_of(row)
    row.description = reading.text(data.get("description"))
    row.created_at = reading.moment(born)
    row.changed_at = reading.moment(data.get("last_updated_timestamp"))
    row.fingerprint, row.gone_at, row.checked_at = reading.fingerprint(data), None, None
    row.save()
    compared = aliases_compare(model=row, now=now, first_reading=first_reading, seen=seen)
    if not compared.settled:
        RegisteredModel.objects.filter(pk=row.pk).update(fingerprint="")
    aliases_write(row, now, compared.promoted_at or (None if row.last_promoted_at else _last_promoted(row)))


def team_of(data: JSON) -> Team | None:
    """The stamped tag says whose it is, or the workspace; a name of no team of ours says nothing."""
    workspace, name = model_place(data["name"])
    slug = reading.text(team_of_model({**data, "name": name}, workspace))
    return Team.objects.filter(slug=slug).first() if slug else None


def _owner_of(row: RegisteredModel) -> User | None:
    """Whoever it is known to be, while they belong to the team. The tag only stands in until versions are read: clients
    may claim it, and who made a version is stamped.
    """
    if row.team is None:
        return None
    members = Membership.objects.filter(team=row.team).select_related("user")
    known = members.filter(user=row.owner_id).first() if row.owner_id else None
    known = known or members.filter(user__username=row.tags.get(USER_TAG, "")).first()
    return known.user if known else None


def _last_promoted(row: RegisteredModel) -> Any:
    """After the index was dropped: from the moves themselves."""
    moves = AliasMove.objects.filter(model_name=row.name, born=row.born).exclude(to_version=None)
    newest = moves.exclude(via=AliasMove.Via.FOUND).order_by("-noticed_at").first()
    return newest.noticed_at if newest else None


def _missing_settle(row: RegisteredModel, newcomers: dict[str, JSON]) -> None:
    """A model that MLflow's list no longer holds was renamed or deleted, or slipped through between two pages."""
    same = [
        name
        for name, data in newcomers.items()
        if reading.whole(data.get("creation_timestamp")) == row.born
        and model_place(name)[0] == model_place(row.name)[0]
    ]
    twins = RegisteredModel.objects.kept().filter(born=row.born).exclude(name=row.name).exists()
    if gateway.model_get(row.name) is not None:
        return
    if len(same) == 1 and not twins and reading.tags_read(newcomers[same[0]]).get(TEAM_TAG) == row.tags.get(TEAM_TAG):
        _rename(row, same[0])
    else:
        _gone_note(row.name)


@transaction.atomic
def _rename(row: RegisteredModel, name: str) -> None:
    """Cards and moves go with it; the row is made anew under the new name."""
    for kept in (AliasMove, ModelCard):
        kept.objects.filter(model_name=row.name, born=row.born).update(model_name=name)
    audit_record(
        action="registry:model:renamed-elsewhere",
        actor=None,
        target=AuditTarget(row),
        team_id=row.team_id,
        before={"name": row.name},
        after={"name": name},
        via="MLflow",
    )
    RegisteredModel.objects.filter(pk=row.pk).delete()


@transaction.atomic
def _gone_note(name: str) -> None:
    """It was deleted in MLflow; its card and history stay to be read."""
    model_lock(name)
    row = RegisteredModel.objects.kept().filter(name=name).first()
    if row is None:
        return
    row.gone_at = timezone.now()
    row.save(update_fields=["gone_at"])
    aliases_compare(model=row, now={}, first_reading=False, seen=writes_seen(name))
    aliases_write(row, {})


def _versions_read(until: float) -> None:
    """All versions of the models that changed, then of those unread for longest."""
    rows = RegisteredModel.objects.kept().order_by(F("checked_at").asc(nulls_first=True), "name")
    waiting = list(rows.filter(checked_at=None).values_list("name", flat=True)[:2000])
    rolling = list(rows.exclude(checked_at=None).values_list("name", flat=True)[:ROLLING])
    if len(waiting) > IN_BULK:
        _versions_walk(waiting, until)
        return
    for name in [*waiting, *rolling]:
        if monotonic() > until:
            return
        _model_versions_read(name)


def _versions_walk(names: list[str], until: float) -> None:
    """Versions of many models at once, as at a first reading: one walk over all in place of a question for each model.

    Pages shift under writes, so nothing is taken away here; the rolling reading does that.
    """
    found: dict[str, list[JSON]] = {name: [] for name in names}
    for workspace in workspaces():
        with in_workspace(workspace):
            for data in gateway.versions_changed():
                found.get(str(data.get("name")), []).append(data)
    for name, versions in found.items():
        if monotonic() > until:
            return
        with transaction.atomic():
            row = RegisteredModel.objects.select_for_update().filter(name=name).first()
            if row is not None:
                versions_write(model=row, found=versions, complete=False)
                row.checked_at = timezone.now()
                row.save(update_fields=["checked_at"])


def _model_versions_read(name: str) -> RegisteredModel | None:
    versions = list(gateway.versions_of(name))
    with transaction.atomic():
        row = RegisteredModel.objects.select_for_update().filter(name=name).first()
        if row is None:
            return None
        versions_write(model=row, found=versions, complete=True)
        row.checked_at = timezone.now()
        row.save(update_fields=["checked_at"])
        return row


def _versions_newest(index: RegistryIndex) -> None:
    """Versions whose description or tags changed: their models' own times do not move with them."""
    by_model: dict[str, list[JSON]] = {}
    newest = index.versions_until
    for workspace in workspaces():
        with in_workspace(workspace):
            for data in gateway.versions_changed():
                changed = reading.whole(data.get("last_updated_timestamp"))
                newest = max(newest, changed)
                if changed < index.versions_until - OVERLAP_MS or not index.versions_until:
                    break
                by_model.setdefault(str(data.get("name")), []).append(data)
    for name, versions in by_model.items():
        with transaction.atomic():
            row = RegisteredModel.objects.select_for_update().kept().filter(name=name).first()
            if row is not None:
                versions_write(model=row, found=versions, complete=False)
    RegistryIndex.objects.filter(pk=1).update(versions_until=newest)
