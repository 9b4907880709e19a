"""What an agent does for whoever keeps modules, beside its changes: retrieving from Git, checking versions."""

import logging
import os
import threading
from pathlib import Path
from typing import Protocol

from django.db import Error as DatabaseError
from django.db import close_old_connections, connections
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from apps.catalog.services.claims import Claimant, abandoned_requeue
from apps.provisioning.agent.checking import Checking
from apps.provisioning.agent.retrieving import Retrieving
from apps.provisioning.engine import Engine
from apps.provisioning.leases import Lease
from apps.provisioning.machine import Machine
from apps.provisioning.models import Machine as MachineRow
from apps.provisioning.terraform_sandbox import SandboxSpec

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
REQUEUE_EVERY = 10


class Worker(Protocol):
    def clear(self) -> None: ...
    def look(self) -> None: ...


class ModuleWork:
    """Two threads, so that a long test keeps nobody's module from being retrieved."""

    def __init__(
        self, *, root: Path, machine: Machine, engine: Engine, sandbox: SandboxSpec, lease: Lease,
        stopping: threading.Event,
    ) -> None:  # fmt: skip
        claimant = Claimant(lease.holder, lease.fence)
        environ = dict(os.environ)
        workers: dict[str, Worker] = {
            "retrieving": Retrieving(
                root=root, sandbox=sandbox, environ=environ, claimant=claimant, stopping=stopping
            ),
            "checking": Checking(
                root=root, machine=machine, engine=engine, sandbox=sandbox, environ=environ, claimant=claimant,
                stopping=stopping,
            ),
        }  # fmt: skip
        self.stopping = stopping
        self.threads = [
            threading.Thread(target=self._loop, args=(worker,), name=name) for name, worker in workers.items()
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def join(self, seconds: float) -> None:
        for thread in self.threads:
            if thread.ident:
                thread.join(seconds)

    def _loop(self, worker: Worker) -> None:
        worker.clear()
        turn = 0
        while not self.stopping.is_set():
            try:
                close_old_connections()
                if turn % REQUEUE_EVERY == 0:
                    abandoned_requeue(claims_held())
                worker.look()
            except DatabaseError as error:
                log.warning("the database does not answer: %s", str(error).splitlines()[0])
            except Exception:
                log.exception("modules could not be looked after")
            turn += 1
            self.stopping.wait(LOOK_EVERY)
        connections.close_all()


def claims_held() -> Exists:
    """Whether the agent that claimed a row still holds its machine's lease."""
    return Exists(MachineRow.objects.filter(holder=OuterRef("holder"), fence=OuterRef("fence"), expires_at__gt=Now()))
