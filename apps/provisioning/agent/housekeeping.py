"""What the agent clears away on its machine once a day: built Python environments that nobody uses or will choose."""

import logging

from django.conf import settings

from apps.provisioning.agent.runtime_specs import specs_of
from apps.provisioning.machine import Machine, MachineError
from apps.runtimes.models import RuntimeVersion

log = logging.getLogger(__name__)

EVERY = 24 * 3600.0
S = RuntimeVersion.Status


def runtimes_remove(machine: Machine) -> None:
    """What a ready version is built as stays: it can be chosen at any moment. Of a deprecated or failed one goes what
    no environment has.

    A service may run in a runtime that its environment has let go: where putting it into a new one failed.
    """
    services = {record.spec.runtime for record in machine.services.records() if record.spec.runtime}
    choosable = _digests(machine, (S.READY, S.BUILDING))
    unwanted = _digests(machine, (S.DEPRECATED, S.FAILED)) - choosable - services
    gone = machine.runtimes.unreferenced_remove(
        keep=settings.KEEP_UNUSED_RUNTIMES, used=services | choosable, unwanted=unwanted
    )
    if gone:
        log.info("removed %d Python environments that nobody uses", len(gone))


def _digests(machine: Machine, statuses: tuple[str, ...]) -> set[str]:
    """Names of the folders that versions in these statuses are built in, on this machine."""
    found = set()
    rows = RuntimeVersion.objects.filter(status__in=statuses).exclude(lock="").select_related("runtime")
    for version in rows.iterator(chunk_size=20):
        try:
            found |= {machine.runtimes.digest(spec) for spec, _ in specs_of(version)}
        except MachineError:
            continue  # A Python that this machine has not: nothing of it is built here.
    return found
