"""Installing the packages of published modules before anybody launches them: the first launch is as fast as the tenth.

A module that keeps its locked requirements in `runtime/requirements.lock`, and what it lays over them in
`runtime/plugin/`, has that runtime built here just as its `slipway_runtime` will ask for it: the same text and files
have the same digest. It is the machine's least urgent work: begun when no change goes on, with the lowest priority,
ended at once when the agent ends. A launch that comes meanwhile waits for the same build.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from apps.catalog.models import Module, ModuleVersion
from apps.catalog.services import module_archive_extract
from apps.provisioning.machine import Machine, MachineError
from apps.provisioning.machine.runtimes import RuntimeSpec

log = logging.getLogger(__name__)

REQUIREMENTS = Path("runtime", "requirements.lock")
LAID_OVER = Path("runtime", "plugin")


class BuildAhead:
    """Looks for what has been published since the last look; `look()` returns when it is built or work has come."""

    def __init__(self, *, machine: Machine, is_idle: Callable[[], bool], stopping: threading.Event) -> None:
        self.machine = machine
        self.is_idle = is_idle
        self.stopping = stopping
        self.seen: set[UUID] = set()

    def look(self) -> None:
        newest = Module.objects.filter(target="local").exclude(latest_version=None)
        for key in newest.values_list("latest_version_id", flat=True):
            if key in self.seen or self.stopping.is_set() or not self.is_idle():
                continue
            version = ModuleVersion.objects.select_related("module").get(pk=key)
            self.seen.add(version.pk)
            self._build(version)

    def _build(self, version: ModuleVersion) -> None:
        spec = runtime_of(version)
        if spec is None or self.machine.runtimes.is_built(spec):
            return
        log.info("installing the packages of %s ahead of its first launch", version)
        started = time.monotonic()
        try:
            self.machine.runtimes.prepare(spec, ended=self.stopping)
        except MachineError as error:
            # The launch that needs them tries again, and tells its person.
            log.warning("the packages of %s were not installed ahead: %s", version, error.detail)
        else:
            log.info("the packages of %s are installed (%.0f s)", version, time.monotonic() - started)


def runtime_of(version: ModuleVersion) -> RuntimeSpec | None:
    """The runtime that a module's files describe; None for a module that keeps none where it is looked for."""
    with tempfile.TemporaryDirectory(prefix="slipway-module-") as folder:
        root = Path(folder)
        module_archive_extract(version, root)
        if not (root / REQUIREMENTS).is_file():
            return None
        laid_over = root / LAID_OVER
        files = {
            path.relative_to(laid_over).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(laid_over.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
        return RuntimeSpec((root / REQUIREMENTS).read_text(encoding="utf-8"), files=files)
