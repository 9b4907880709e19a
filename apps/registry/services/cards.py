"""Writing model cards: every save is a new version, and nobody overwrites what they have not seen."""

from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.registry.auditing import AuditTarget
from apps.registry.cards import BY_KEY, SECTION_LIMIT, SECTIONS, completeness_of
from apps.registry.exceptions import CardChanged, CardInvalid
from apps.registry.models import ModelCard, RegisteredModel
from apps.registry.permissions import ModelPermission, require
from apps.registry.reading import text
from apps.registry.selectors import card_newest


def card_write(*, model: RegisteredModel, actor: User, sections: dict[str, str], from_number: int) -> ModelCard:
    """The next version; `from_number` is the one it was made from, 0 for none. Unchanged text makes no version.

    Raises `CardInvalid` (fields are section keys), `CardChanged`, `NotAllowed`.
    """
    require(actor, ModelPermission.WRITE_CARD, model)
    errors = {key: ["There is no such section."] for key in sections if key not in BY_KEY}
    given = {key: text(value, SECTION_LIMIT + 1).strip() for key, value in sections.items() if key in BY_KEY}
    errors |= {
        key: [f"At most {SECTION_LIMIT:,} characters."] for key, value in given.items() if len(value) > SECTION_LIMIT
    }
    if errors:
        raise CardInvalid(errors=errors)
    kept = {section.key: given[section.key] for section in SECTIONS if given.get(section.key)}
    newest = card_newest(model)
    if newest is not None and newest.sections == kept:
        return newest
    if (newest.number if newest else 0) != from_number:
        raise _changed(newest)
    try:
        with transaction.atomic():
            return _write(model, actor, kept, newest)
    except IntegrityError:  # Another one was saved between the look and the write.
        raise _changed(card_newest(model)) from None


def _write(model: RegisteredModel, actor: User, kept: dict[str, str], newest: ModelCard | None) -> ModelCard:
    card = ModelCard.objects.create(
        model_name=model.name,
        born=model.born,
        number=newest.number + 1 if newest else 1,
        author=actor,
        author_name=actor.display_name[:150],
        sections=kept,
    )
    before = newest.sections if newest else {}
    complete = completeness_of(kept)
    audit_record(
        action="registry:card:written",
        actor=actor,
        target=AuditTarget(model),
        team_id=model.team_id,
        after={
            "number": card.number,
            "sections": sorted(key for key in BY_KEY if before.get(key, "") != kept.get(key, "")),
            "written": f"{complete.filled} of {complete.expected}",
        },
    )
    return card


def _changed(newest: ModelCard | None) -> CardChanged:
    who = newest.author_name if newest else "Somebody"
    return CardChanged(
        f"{who} has saved version {newest.number if newest else 1} of the card meanwhile. Nothing of yours was saved: "
        "copy what you wrote, look at theirs, and save again."
    )
