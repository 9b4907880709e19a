"""The machine's GPUs: which there are, which service has which, and what a service sees of them.

A device belongs to one service at a time, from its start to its stop; the assignment is part of the service's record,
so that it outlives the agent. `nvidia-smi` says what there is; without it the driver's files in /proc do.
"""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import MachineError
from .records import ServiceRecord

QUERY = ["--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
SECONDS = 5.0
LOOK_EVERY_S = 60.0
MOST = 64
# Needed for any device, and no device by themselves.
_CONTROL = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps")
# What other makers' devices are reached by; shown where nothing is shared out.
_OTHERS = ("dri", "kfd")
_UUID = re.compile(r"GPU-[0-9a-fA-F-]{8,60}\Z")


@dataclass(frozen=True)
class Gpu:
    """`minor` is the number of its device file, which need not be its index; memory 0 where nobody says."""

    index: int
    uuid: str
    name: str
    memory_mb: int
    minor: int


class NoGpuFree(MachineError):
    status = 409
    code = "machine:no-gpu"


class Gpus:
    """`environ` finds nvidia-smi; `dev` and `proc` are other folders in tests."""

    def __init__(
        self, *, environ: Mapping[str, str] | None = None, dev: Path = Path("/dev"), proc: Path = Path("/proc")
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._dev = dev
        self._driver = proc / "driver" / "nvidia" / "gpus"
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._looked_at = -LOOK_EVERY_S
        self._found: tuple[Gpu, ...] = ()
        self._coming: dict[tuple[str, str], tuple[int, ...]] = {}

    def found(self) -> tuple[Gpu, ...]:
        """What there is; looked at once a minute."""
        with self._looking:
            if time.monotonic() - self._looked_at >= LOOK_EVERY_S:
                self._found = self._look()
                self._looked_at = time.monotonic()
            return self._found

    def rows(self, holders: Mapping[int, str]) -> list[dict[str, Any]]:
        """As the machine's row holds them; `holders` says which workspace has which."""
        return [
            {"index": gpu.index, "name": gpu.name, "memory_mb": gpu.memory_mb, "workspace": holders.get(gpu.index)}
            for gpu in self.found()
        ]

    @contextlib.contextmanager
    def reserved(self, record: ServiceRecord, others: Iterator[ServiceRecord]) -> Iterator[list[int]]:
        """Devices for a start, its own again where it has them; nobody else gets them before its record says so.

        Asked before the old run is ended, so that it goes on where no device is free (`NoGpuFree`). `others`, which
        hold devices, are read one by one under the lock.
        """
        try:
            yield self._reserve(record, others)
        finally:
            with self._lock:
                self._coming.pop((record.workspace_id, record.name), None)

    def _reserve(self, record: ServiceRecord, others: Iterator[ServiceRecord]) -> list[int]:
        wanted = record.spec.gpus
        if not wanted:
            return []
        own = (record.workspace_id, record.name)
        there = [gpu.index for gpu in self.found()]
        with self._lock:
            taken = {i for key, indexes in self._coming.items() if key != own for i in indexes}
            taken |= {i for other in others if (other.workspace_id, other.name) != own for i in other.gpus}
            free = [index for index in there if index not in taken]
            if len(free) < wanted:
                raise NoGpuFree(_none_free(wanted, len(free), len(there)))
            chosen = sorted(free, key=lambda index: (index not in record.gpus, index))[:wanted]
            self._coming[own] = tuple(chosen)
            return sorted(chosen)

    def devices(self, indexes: Sequence[int]) -> tuple[tuple[str, str], ...]:
        """Device files that a service sees: (where they are, where it sees them)."""
        found = self.found()
        if not found:
            names = [name for name in _OTHERS if (self._dev / name).exists()]
        elif not indexes:
            names = []
        else:
            minors = [f"nvidia{gpu.minor}" for gpu in found if gpu.index in indexes]
            names = [name for name in (*minors, *_CONTROL) if (self._dev / name).exists()]
        return tuple((str(self._dev / name), f"/dev/{name}") for name in names)

    def environment(self, indexes: Sequence[int]) -> dict[str, str]:
        """What CUDA and its libraries go by; on a machine without GPUs nothing is said."""
        found = self.found()
        if not found:
            return {}
        named = ",".join(gpu.uuid or str(gpu.index) for gpu in found if gpu.index in indexes)
        return {"CUDA_VISIBLE_DEVICES": named, "NVIDIA_VISIBLE_DEVICES": named or "void"}

    def _look(self) -> tuple[Gpu, ...]:
        program = shutil.which("nvidia-smi", path=self._environ.get("PATH", os.defpath))
        if program:
            try:
                said = subprocess.run(
                    [program, *QUERY],
                    env={"PATH": self._environ.get("PATH", os.defpath), "LC_ALL": "C"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    timeout=SECONDS,
                    check=False,
                )
            except (OSError, subprocess.SubprocessError):
                return ()
            return gpus_read(said.stdout, self._minors()) if said.returncode == 0 else ()
        return self._of_driver()

    def _information(self) -> list[dict[str, str]]:
        told = []
        for path in sorted(self._driver.glob("*/information"))[:MOST]:
            try:
                lines = path.read_text(encoding="utf-8", errors="replace")[:10_000].splitlines()
            except OSError:
                continue
            told.append({key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)})
        return told

    def _minors(self) -> dict[str, int]:
        minors = {one.get("GPU UUID", ""): one.get("Device Minor", "") for one in self._information()}
        return {uuid: int(minor) for uuid, minor in minors.items() if minor.isdecimal()}

    def _of_driver(self) -> tuple[Gpu, ...]:
        found = []
        for index, told in enumerate(self._information()):
            minor, uuid = told.get("Device Minor", ""), told.get("GPU UUID", "")
            minor_number = int(minor) if minor.isdecimal() else index
            known = uuid if _UUID.match(uuid) else ""
            found.append(Gpu(index, known, told.get("Model", "GPU")[:80], 0, minor_number))
        return tuple(found)


def gpus_read(text: str, minors: Mapping[str, int]) -> tuple[Gpu, ...]:
    """The lines of nvidia-smi; one that is none of them (a warning, an error) is passed over."""
    found: dict[int, Gpu] = {}
    for line in text.splitlines()[:MOST]:
        parts = [part.strip() for part in line.split(",")]
        if len(parts) < 4 or not (parts[0].isdecimal() and parts[0].isascii() and len(parts[0]) < 4):
            continue
        index, uuid = int(parts[0]), parts[1] if _UUID.match(parts[1]) else ""
        memory = int(parts[-1]) if parts[-1].isdecimal() and len(parts[-1]) < 12 else 0
        found[index] = Gpu(index, uuid, ", ".join(parts[2:-1])[:80] or "GPU", memory, minors.get(uuid, index))
    return tuple(found[index] for index in sorted(found))


def _none_free(wanted: int, free: int, there: int) -> str:
    cure = "Nothing was lost. Choose a CPU size"
    if not there:
        return f"This machine has no GPU. {cure}."
    if not free:
        return f"There is no free GPU: all {there} are in use. {cure}, or try again when one is given back."
    return f"There are {free} free GPUs of {there}, {wanted} were asked for. {cure} or fewer GPUs."
