"""What the doctor asks of the index of models."""

from collections.abc import Iterator
from datetime import timedelta

from apps.core.clock import database_now
from apps.core.doctor import Finding, Patient, Severity, register_probe
from apps.registry.models import ModelVersion, RegisteredModel, RegistryIndex

SILENT = timedelta(minutes=2)


def registry_probe(patient: Patient) -> Iterator[Finding]:
    row = RegistryIndex.objects.filter(pk=1).first()
    if row is None:
        return
    if row.away_since is not None:
        yield Finding(
            "models:away",
            f"MLflow's registry has not answered since {row.away_since:%Y-%m-%d %H:%M} UTC ({row.away_reason}).",
            "Lists go on with what was read; aliases moved meanwhile are noticed when it answers again.",
        )
    elif row.read_at is not None and database_now() - row.read_at > SILENT:
        yield Finding(
            "models:behind",
            f"MLflow's registry was last read at {row.read_at:%Y-%m-%d %H:%M} UTC: moves of aliases go unnoticed.",
            "See the log of worker and beat: the task registry_index runs every ten seconds.",
        )
    if nobodys := RegisteredModel.objects.kept().filter(team=None).count():
        yield Finding(
            "models:no-team",
            f"{nobodys} registered models belong to no team: only platform engineers and auditors see them.",
            "Give them the tag slipway.team with a team's slug, in MLflow.",
            Severity.WARNING,
        )
    if unread := ModelVersion.objects.filter(details=ModelVersion.Details.UNREADABLE, model__gone_at=None).count():
        yield Finding(
            "models:unreadable",
            f"The files of {unread} model versions could not be read; their pages say why.",
            "Nothing has to be done where they lie in another store, or were deleted.",
            Severity.WARNING,
        )


register_probe("index of models", registry_probe, needs=("portal", "database"))
