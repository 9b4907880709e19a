"""What is done once in the background after the page is up: publishing the modules and their Python environments,
filling the demo workspace.

Each job has a stamp with the data; a job that failed is tried again by the next start.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from portal.up import children
from portal.up.child import Child
from portal.up.options import UpOptions
from portal.up.output import plain, say
from portal.up.places import Places, folder_private
from portal.up.process import log_tail

MODULES = children.ROOT / "terraform" / "modules"


@dataclass(frozen=True)
class Job:
    """`done` is what its stamp holds when it needs not run again."""

    child: Child
    done: str
    starts: str
    ended: str


class Jobs:
    """Runs one after the other: the demo wants the modules."""

    def __init__(self, options: UpOptions, places: Places, environ: dict[str, str]) -> None:
        self.stamps = folder_private(places.data / "done")
        self.waiting: list[Job] = []
        self.current: Job | None = None
        if next(MODULES.glob("*/module.yaml"), None):
            # One process for both: its start, beside those of the whole portal, takes longer than what it does.
            child = children.modules(places, environ)
            starts = "Publishing the modules and their Python environments"
            self._add(Job(child, _digest(MODULES), starts, "The modules are published"))
        if options.demo:
            child = children.seed(places, environ, experiments=options.demo_experiments)
            done = "1" if options.demo_experiments else "people"
            self._add(Job(child, done, "Filling the demo workspace in the background", "The demo workspace is filled"))

    def _add(self, job: Job) -> None:
        stamp = self.stamps / job.child.name
        if not stamp.exists() or stamp.read_text(encoding="ascii") != job.done:
            self.waiting.append(job)

    def watch(self) -> None:
        """Starts the next job when none runs; tells how the last one ended."""
        if self.current and not self.current.child.running():
            self._end(self.current)
            self.current = None
        if self.current is None and self.waiting:
            self.current = self.waiting.pop(0)
            say(self.current.starts)
            self.current.child.start()

    def pending(self, name: str) -> bool:
        """Whether the job still has to start or runs."""
        jobs = [*self.waiting, *([self.current] if self.current else [])]
        return any(job.child.name == name for job in jobs)

    def _end(self, job: Job) -> None:
        child = job.child
        child.record.unlink(missing_ok=True)
        if child.process is not None and child.process.returncode == 0:
            (self.stamps / child.name).write_text(job.done, encoding="ascii")
            say(job.ended)
            return
        say(f"{job.starts}: this failed, the next start tries again ({child.log}):")
        for line in log_tail(child.log, 6):
            plain(f"             {line}")


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
