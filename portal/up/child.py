"""One supervised process: started, watched, started again with growing pauses, and ended in order."""

import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from portal.up.output import plain, say
from portal.up.places import Places
from portal.up.process import ProcessIdentity, log_tail, record_read, record_write, session_end, spawn

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# Longer than anything takes that dies at its start: what was killed after that comes back at once.
STEADY_SECONDS = 15.0


@dataclass
class Child:
    """What to run and how it ends. `death_signal` is what it gets when the supervisor itself is killed.

    `whole_session`: whether processes of its session may be ended with it. Not the agent's:
    they are people's services.
    """

    name: str
    command: Sequence[str]
    places: Places
    environ: dict[str, str]
    folder: Path
    grace: float = 10.0
    death_signal: int = signal.SIGTERM
    whole_session: bool = True
    keep: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    started: float = 0.0
    pause: float = FIRST_PAUSE
    again_at: float | None = None

    @property
    def log(self) -> Path:
        return self.places.log(self.name)

    @property
    def record(self) -> Path:
        return self.places.run / f"{self.name}.json"

    def leftover_end(self) -> bool:
        """Ends the process that a killed supervisor left, as the death signal would have; whether there was one."""
        left, _ = record_read(self.record)
        if left is None:
            return False
        if self.whole_session:
            session_end(left, number=self.death_signal, grace=3.0)
        else:
            left.signal(self.death_signal)
            if not left.wait(3.0):
                left.signal(signal.SIGKILL)
                left.wait(3.0)
        return True

    def start(self) -> None:
        self.again_at = None
        self.started = time.monotonic()
        self.process = spawn(
            self.command,
            log=self.log,
            environ=self.environ,
            folder=self.folder,
            death_signal=self.death_signal,
            keep=self.keep,
        )
        identity = ProcessIdentity.of(self.process.pid)
        if identity:
            record_write(self.record, identity)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def watch(self) -> None:
        """Starts it again when it ended by itself, after a pause that doubles until it has run steadily."""
        if self.process is None or self.process.poll() is None:
            return
        now = time.monotonic()
        if self.again_at is None:
            self._session_rest_end()
            if now - self.started > STEADY_SECONDS:
                self.pause = FIRST_PAUSE
            self.again_at = now + self.pause
            say(f"{self.name} {ending(self.process.returncode)}; starting it again in {self.pause:.0f} s ({self.log}):")
            for line in log_tail(self.log, 4 if self.pause == FIRST_PAUSE else 1):
                plain(f"             {line}")
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        elif now >= self.again_at:
            self.start()

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def finish(self, deadline: float) -> bool:
        """After a signal: waits until the deadline, then ends it hard. Whether it ended by itself."""
        if self.process is None:
            return True
        ended = True
        try:
            self.process.wait(max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            ended = False
            self.process.kill()
            self.process.wait(5)
        self._session_rest_end()
        self.record.unlink(missing_ok=True)
        return ended

    def _session_rest_end(self) -> None:
        """What the leader left behind in its session; pool processes of a killed worker, for one."""
        if self.process is None or not self.whole_session:
            return
        left, content = record_read(self.record)
        if left is None and content.get("pid") == self.process.pid:
            leader = ProcessIdentity(self.process.pid, int(str(content["started"])), str(content["boot"]))
            session_end(leader, grace=0)


def ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
