"""One portal a data folder: a file lock that the kernel drops with the process, and who holds it."""

import fcntl
import os
import time

from portal.up.places import Places
from portal.up.process import ProcessIdentity, record_read, record_write


class UpLock:
    """Held by the supervisor for as long as anything of it runs."""

    def __init__(self, places: Places) -> None:
        self.path = places.run / "up.lock"
        self.record = places.run / "up.json"
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self.descriptor = descriptor
        return True

    def wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self.acquire():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def publish(self, *, state: str, url: str = "") -> None:
        """state: starting, running or stopping."""
        process = ProcessIdentity.of(os.getpid())
        if process:
            record_write(self.record, process, state=state, url=url)

    def holder(self) -> tuple[ProcessIdentity | None, str, str]:
        """The supervisor that holds the lock, its state and its address."""
        process, content = record_read(self.record)
        return process, str(content.get("state", "")), str(content.get("url", ""))

    def release(self) -> None:
        self.record.unlink(missing_ok=True)
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
