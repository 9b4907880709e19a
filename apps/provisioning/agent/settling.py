"""After an apply that did not succeed: the machine is brought back to what the state knows, beside the agent's loop."""

import logging
import threading
from pathlib import Path

from apps.provisioning.machine import Machine
from apps.provisioning.terraform_state import state_read

log = logging.getLogger(__name__)

SERVICE = "slipway_service"


class Settling:
    """Runs in a thread of its own, because a service may take its time to end; `done()` never waits.

    A provider that was killed in the middle of a creation leaves a service that no state knows: nobody could stop it,
    and a destroy would stumble over the volume it holds.
    """

    def __init__(self, machine: Machine, workspace_id: str, work: Path) -> None:
        self.machine = machine
        self.workspace_id = workspace_id
        self.work = work
        self.thread = threading.Thread(target=self._run, name="settling", daemon=True)
        self.thread.start()

    def done(self) -> bool:
        return not self.thread.is_alive()

    def _run(self) -> None:
        known = services_known(self.work)
        if known is None:
            return
        try:
            self.machine.settle_services(self.workspace_id, known)
        except Exception:
            log.exception("services of %s could not be brought to their state", self.workspace_id)


def services_known(work: Path) -> dict[str, bool] | None:
    """{name: is to run} of the services in the state of a work directory; None where a state cannot be read."""
    state = state_read(work)
    if state is None:
        return None if (work / "terraform.tfstate").exists() else {}
    return {
        instance["attributes"]["name"]: instance["attributes"].get("running") is not False
        for entry in state.data.get("resources", ())
        if entry.get("mode") == "managed" and entry.get("type") == SERVICE
        for instance in entry.get("instances", ())
    }
