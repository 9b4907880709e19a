"""Finding and ending the processes of one portal, by what its data folder and the kernel tell: never by a name alone.

Everything is read from /proc at the moment it is asked for. A process is told apart by its pid and its start time.
"""

import contextlib
import json
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

PROVIDER = "providers/local/main.py"


@dataclass(frozen=True)
class Process:
    """One process as it was when it was looked at; `started` in clock ticks since boot."""

    pid: int
    parent: int
    started: int
    state: str
    command: tuple[str, ...]

    @property
    def alive(self) -> bool:
        now = process_at(self.pid)
        return now is not None and now.started == self.started and now.state not in ("Z", "X")

    def kill(self, number: int = signal.SIGKILL) -> None:
        """The signal, if it is still this very process. SIGKILL by default."""
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def wait_gone(self, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while self.alive:
            assert time.monotonic() < deadline, f"{self} does not end"
            time.sleep(0.01)

    def __str__(self) -> str:
        return f"{self.pid} ({self.state}) {' '.join(self.command)[:160]}"


def process_at(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return None
    return Process(pid, int(fields[1]), int(fields[19]), fields[0], tuple(command))


def processes_all() -> list[Process]:
    found = (process_at(int(entry)) for entry in os.listdir("/proc") if entry.isdigit())
    return [process for process in found if process and process.state not in ("Z", "X")]


def descendants(root: int, everything: list[Process] | None = None) -> list[Process]:
    """Every process below `root`, parents first."""
    everything = processes_all() if everything is None else everything
    below, level = [], {root}
    while level:
        children = [process for process in everything if process.parent in level]
        below += children
        level = {process.pid for process in children}
    return below


def environ_of(pid: int) -> dict[str, str]:
    try:
        raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in raw.split("\0") if "=" in entry)


def of_folder(data: Path) -> list[Process]:
    """Every process that belongs to the portal of this data folder: it names the folder, or runs below one that does.

    A process that the kernel gave to init after its parent was killed still names the folder in its command line, its
    environment (services and Terraform carry their workspace there) or its working directory.
    """
    needle, everything = str(data), processes_all()
    workspaces = {path.name for path in (data / "agent").glob("*/*") if len(path.name) == 36}

    def belongs(process: Process) -> bool:
        if process.pid == os.getpid():
            return False
        if any(needle in word for word in process.command):
            return True
        environ = environ_of(process.pid)
        if any(needle in value for value in environ.values()):
            return True
        if environ.get("SLIPWAY_SERVICE_ID", "").partition("/")[0] in workspaces:
            return True
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{process.pid}/cwd").startswith(needle)
        return False

    own = {process.pid: process for process in everything if belongs(process)}
    for root in list(own):
        own |= {process.pid: process for process in descendants(root, everything)}
    return sorted(own.values(), key=lambda process: process.started)


def recorded(path: Path) -> Process | None:
    """The process of a record of `manage.py up` (`run/<name>.json`), while it lives."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    process = process_at(int(record["pid"]))
    same = process is not None and process.started == record["started"] and process.state not in ("Z", "X")
    return process if same else None


def is_terraform(process: Process) -> bool:
    """Terraform itself: not the runner, not the sandbox around it, not a provider."""
    words = process.command
    if not words or "stage_runner.py" in " ".join(words) or Path(words[0]).name == "bwrap":
        return False
    return Path(words[0]).name in ("terraform", "tofu") or any(word.endswith("terraform_cli.py") for word in words)


def is_provider(process: Process) -> bool:
    return any(word.endswith(PROVIDER) for word in process.command)
