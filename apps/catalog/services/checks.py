"""The checks of a version before it is published: rows that an agent claims, runs and answers."""

from django.db import connection, transaction
from django.db.models import F

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.catalog.exceptions import ChecksRunning
from apps.catalog.models import ModuleVersion, VersionCheck
from apps.catalog.permissions import CatalogPermission, require

C = VersionCheck.Status
# In the order in which they run; the later ones need what the earlier ones prepare.
CHECKS = (VersionCheck.Name.FORMAT, VersionCheck.Name.VALIDATE, VersionCheck.Name.TEST, VersionCheck.Name.PLAN)
AGENT_CHANNEL = "slipway_agent"


def checks_queue(version: ModuleVersion) -> None:
    """Put every check of a version into the line; those that wait already are left alone."""
    for position, name in enumerate(CHECKS):
        VersionCheck.objects.get_or_create(version=version, name=name, defaults={"position": position})
    agent_wake()


@transaction.atomic
def checks_repeat(*, version: ModuleVersion, actor: User) -> list[VersionCheck]:
    """Run the checks of a version again, for instance because a provider has come into the mirror.

    Raises `ChecksRunning`. What is published stays so, whatever comes out.
    """
    require(actor, CatalogPermission.PUBLISH)
    ModuleVersion.objects.select_for_update(no_key=True).only("id").get(pk=version.pk)
    checks = VersionCheck.objects.filter(version=version)
    if checks.active().exists():
        raise ChecksRunning("Wait until the checks that are running have ended.")
    checks.update(
        status=C.QUEUED,
        summary="",
        output="",
        engine="",
        holder=None,
        started_at=None,
        finished_at=None,
        attempt=F("attempt") + 1,
    )
    checks_queue(version)
    audit_record(action="catalog:module-version:checked", actor=actor, target=version)
    return list(VersionCheck.objects.filter(version=version))


def agent_wake() -> None:
    """Agents look by themselves every second; this one hears of it when the transaction commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [AGENT_CHANNEL])
