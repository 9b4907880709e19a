"""A model's description: written at MLflow, then into the index. Nobody overwrites what they have not seen."""

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.experiments.exceptions import TrackerRefused
from apps.registry import gateway, reading
from apps.registry.auditing import AuditTarget
from apps.registry.exceptions import DescriptionChanged, DescriptionInvalid, ModelGone
from apps.registry.models import RegisteredModel
from apps.registry.permissions import ModelPermission, require
from apps.registry.services.locking import model_lock

LIMIT = 5_000  # MLflow's own
TOLD = 500  # of a description in the audit log


def description_mark(text: str) -> str:
    """Says which description somebody saw."""
    return reading.fingerprint(text)


@transaction.atomic
def description_write(*, model: RegisteredModel, actor: User, description: str, seen: str) -> bool:
    """`seen` is the mark of the description it was made from. False where MLflow has this text already.

    Raises `DescriptionInvalid`, `DescriptionChanged`, `NotAllowed`, `ModelGone`, `TrackerAway`.
    """
    require(actor, ModelPermission.DESCRIBE, model)
    given = reading.text(description.replace("\r\n", "\n")).strip()
    if len(given) > LIMIT:
        raise DescriptionInvalid(errors={"description": [f"At most {LIMIT:,} characters; the card has room for more."]})
    model_lock(model.name)
    data = gateway.model_get(model.name)
    if data is None or reading.whole(data.get("creation_timestamp")) != model.born:
        raise ModelGone(f"{model.name} was deleted or renamed in MLflow meanwhile.")
    now = reading.text(data.get("description"))
    if now == given:
        return False
    if description_mark(now) != seen:
        text = "Somebody has changed the description since you opened the page. Nothing was saved. Look, then decide."
        raise DescriptionChanged(text, now=now)
    try:
        gateway.model_describe(model.name, given)
    except TrackerRefused as refused:
        raise DescriptionInvalid(errors={"description": [str(refused)]}) from refused
    # The next round reads it anew, whatever MLflow's list says.
    RegisteredModel.objects.filter(pk=model.pk).update(description=given, fingerprint="")
    audit_record(
        action="registry:model:described",
        actor=actor,
        target=AuditTarget(model),
        team_id=model.team_id,
        before={"description": now[:TOLD]},
        after={"description": given[:TOLD]},
    )
    return True
