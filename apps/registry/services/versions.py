"""Writing what MLflow says of versions into the index."""

from typing import Any

from apps.accounts.models import Membership, User
from apps.experiments.models import Run
from apps.registry import reading
from apps.registry.models import ModelVersion, RegisteredModel

JSON = dict[str, Any]
USER_TAG = "slipway.user"


def versions_write(*, model: RegisteredModel, found: list[JSON], complete: bool) -> None:
    """Add and change versions of one model; where `found` is all of them, take away what is not among them."""
    usable = {reading.whole(data.get("version")): data for data in found}
    usable.pop(0, None)
    known = {row.version: row for row in ModelVersion.objects.filter(model=model).only("version", "fingerprint")}
    people = _people(list(usable.values()))
    new, changed = [], []
    for number, data in usable.items():
        row = _row(model, number, data, people)
        before = known.get(number)
        if before is None:
            new.append(row)
        elif before.fingerprint != row.fingerprint:
            row.pk = before.pk
            changed.append(row)
    ModelVersion.objects.bulk_create(new, ignore_conflicts=True)
    ModelVersion.objects.bulk_update(changed, WRITTEN)
    gone = set(known) - set(usable) if complete else set()
    if gone:
        ModelVersion.objects.filter(model=model, version__in=gone).delete()
    if new or gone or model.newest_version is None or model.owner_id is None:
        _sum_up(model)


WRITTEN = [
    "run_id", "source", "logged_model_id", "status", "status_message", "description", "tags", "created_by",
    "created_at", "changed_at", "fingerprint",
]  # fmt: skip


def _row(model: RegisteredModel, number: int, data: JSON, people: dict[str, Any]) -> ModelVersion:
    tags = reading.tags_read(data)
    run_id, source = reading.text(data.get("run_id"), 64), reading.text(data.get("source"), 1000)
    # Nobody but the portal writes this tag; a run's user was stamped by its route.
    author = people.get(f"user:{tags.get(USER_TAG)}") or people.get(f"run:{run_id}")
    logged = reading.text(data.get("model_id"), 64) or _logged_model(source)
    return ModelVersion(
        model=model,
        version=number,
        run_id=run_id,
        source=source,
        logged_model_id=logged,
        status=reading.text(data.get("status"), 40),
        status_message=reading.text(data.get("status_message"), 500),
        description=reading.text(data.get("description")),
        tags=tags,
        created_by_id=author,
        created_at=reading.moment(data.get("creation_timestamp")),
        changed_at=reading.moment(data.get("last_updated_timestamp")),
        fingerprint=reading.fingerprint([data, author]),
    )


def _logged_model(source: str) -> str:
    """ "models:/m-0a1b" is a logged model; "models:/<name>/<version>" another version."""
    found = source.removeprefix("models:/")
    return found[:64] if source.startswith("models:/m-") and "/" not in found else ""


def _people(found: list[JSON]) -> dict[str, Any]:
    """Ids of people by "user:<name>" and "run:<id>", in two queries."""
    names = {reading.tags_read(data).get(USER_TAG) for data in found} - {None, ""}
    runs = {reading.text(data.get("run_id"), 64) for data in found} - {""}
    people: dict[str, Any] = {}
    if names:
        rows = User.objects.filter(username__in=names).values_list("username", "pk")
        people |= {f"user:{name}": pk for name, pk in rows}
    if runs:
        made = Run.objects.filter(run_id__in=runs).exclude(user=None).values_list("run_id", "user_id")
        people |= {f"run:{run_id}": pk for run_id, pk in made}
    return people


def _sum_up(model: RegisteredModel) -> None:
    versions = list(ModelVersion.objects.filter(model=model).order_by("version").values_list("version", "created_by"))
    model.version_count = len(versions)
    model.newest_version = versions[-1][0] if versions else None
    first = next((author for _, author in versions if author is not None), None)
    if model.team_id and first and Membership.objects.filter(team_id=model.team_id, user_id=first).exists():
        model.owner_id = first
    model.save(update_fields=["version_count", "newest_version", "owner"])
