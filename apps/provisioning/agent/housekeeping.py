"""What the agent clears away on its machine once a day: Python environments nobody uses."""

import logging

from django.conf import settings

from apps.provisioning.machine import Machine

log = logging.getLogger(__name__)

EVERY = 24 * 3600.0


def runtimes_remove(machine: Machine) -> None:
    """A service may run in a runtime that its environment has let go: where putting it into a new one failed."""
    used = {record.spec.runtime for record in machine.services.records() if record.spec.runtime}
    gone = machine.runtimes.unreferenced_remove(keep=settings.KEEP_UNUSED_RUNTIMES, used=used)
    if gone:
        log.info("removed %d Python environments that nobody uses", len(gone))
