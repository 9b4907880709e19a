"""The unit files of deploy/ read as systemd reads them, and their processes started without systemd."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.conftest import ROOT, environ_plain

DEPLOY = ROOT / "deploy"


def unit_read(path: Path) -> dict[str, list[str]]:
    """The settings of all sections, in their order; a comment or an empty line is none."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in path.read_text().splitlines():
        if line and not line.startswith(("#", ";", "[")):
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


def environment_read(path: Path) -> dict[str, str]:
    found = {}
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found[name] = shlex.split(value)[0] if value else ""
    return found


@dataclass
class Unit:
    """One service of deploy/systemd on this machine: its ExecStart with our places in it."""

    name: str
    data: Path
    environment: dict[str, dict[str, str]]
    log: Path
    listening: socket.socket | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def settings(self) -> dict[str, list[str]]:
        return unit_read(DEPLOY / "systemd" / f"slipway-{self.name}.service")

    def command(self) -> list[str]:
        [line] = self.settings["ExecStart"]
        line = line.replace("%%", "%").replace("/opt/slipway/.venv/bin/python", sys.executable)
        line = line.replace("/opt/slipway", str(ROOT)).replace("/var/lib/slipway", str(self.data))
        return shlex.split(line)

    def environ(self) -> dict[str, str]:
        environ = {"HOME": os.environ.get("HOME", "/root"), "LANG": "C.UTF-8"}
        passed = ("UV_", "PIP_", "SSL_CERT", "https_proxy", "http_proxy", "no_proxy")
        environ |= {name: value for name, value in environ_plain().items() if name.startswith(passed)}
        for path in self.settings["EnvironmentFile"]:
            environ |= self.environment[Path(path.removeprefix("-")).name]
        for line in self.settings["Environment"]:
            for pair in shlex.split(line):
                name, _, value = pair.partition("=")
                environ[name] = value.replace("/opt/slipway/.venv/bin", str(Path(sys.executable).parent))
        return environ

    def start(self) -> "Unit":
        def pass_socket() -> None:
            assert self.listening is not None
            os.dup2(self.listening.fileno(), 3, inheritable=True)

        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=pass_socket if self.listening else None,  # noqa: PLW1509
                pass_fds=(3,) if self.listening else (),
            )
        return self

    def run(self) -> None:
        """A oneshot: to its end."""
        assert self.start().process is not None
        assert self.process is not None
        assert self.process.wait(120) == 0, self.tail()

    def stop(self, number: int = signal.SIGTERM, seconds: float = 45) -> None:
        """As systemd does: to the whole group, or with KillMode=process to the process alone."""
        if self.process is None or self.process.poll() is not None:
            return
        if self.settings["KillMode"] == ["process"]:
            self.process.send_signal(number)
        else:
            os.killpg(self.process.pid, number)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5)
            raise

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]


def tool(name: str) -> str | None:
    return shutil.which(name) or next((p for p in (f"/usr/sbin/{name}", f"/sbin/{name}") if Path(p).exists()), None)
