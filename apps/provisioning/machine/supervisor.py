"""supervisord: started in a session of its own, found again by a restarted agent, spoken to over its unix socket.

It never starts anything by itself (autostart is off): the agent decides, after ending what an earlier one left.
"""

import base64
import contextlib
import http.client
import os
import secrets
import shlex
import socket
import subprocess
import sys
import threading
import time
import xmlrpc.client
from pathlib import Path
from typing import Any

from .errors import MachineError
from .files import directory_private, text_write
from .layout import Layout, unix_socket_path
from .processes import process_is, process_start, processes_all, processes_kill
from .shim import FINAL

STOP_SECONDS = 10
_PACKAGE_ROOT = Path(__file__).resolve().parents[3]
_ALREADY_ADDED, _BAD_NAME, _NOT_RUNNING, _ALREADY_STARTED = 90, 10, 70, 60


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str, password: str, timeout: float) -> None:
        credentials = base64.b64encode(f"slipway:{password}".encode()).decode()
        super().__init__(headers=[("Authorization", f"Basic {credentials}")])
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # Kept where the base class looks for what it closes.
        self._connection = host, _Connection(self._path, self._timeout)
        return self._connection[1]


class Supervisor:
    """The one supervisord of a machine. Safe to use from several threads."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.log_megabytes = 10
        self.directory = layout.supervisor
        self.exclusive = threading.RLock()

    @property
    def socket_path(self) -> Path:
        return unix_socket_path(self.directory / "s.sock", record=self.directory / "socket-directory")

    def _password(self) -> str:
        path = self.directory / "password"
        if not path.exists():
            text_write(path, secrets.token_hex(24))
        return path.read_text().strip()

    def call(self, method: str, *arguments: Any, timeout: float = 30) -> Any:
        """One XML-RPC call, for example `supervisor.getState`. OSError when nobody listens."""
        transport = _Transport(str(self.socket_path), self._password(), timeout)
        with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=transport) as proxy:
            target: Any = proxy
            for part in method.split("."):
                target = getattr(target, part)
            return target(*arguments)

    def pid(self) -> int | None:
        """The pid of the supervisord that runs with our configuration, by its pid file."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.directory / "supervisord.pid").read_text())
            return pid if self._is_ours(pid) else None
        return None

    def _is_ours(self, pid: int) -> bool:
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return str(self._configuration).encode() in arguments and b"supervisor.supervisord" in arguments

    def answers(self) -> bool:
        """Whether the recorded supervisord is alive and really ours to command."""
        pid = self.pid()
        if pid is None:
            return False
        with contextlib.suppress(OSError, xmlrpc.client.Error, http.client.HTTPException):
            return bool(self.call("supervisor.getPID", timeout=5) == pid)
        return False

    def start(self) -> None:
        """Start supervisord unless ours runs. The caller has ended what an earlier one left."""
        with self.exclusive:
            if self.answers():
                return
            self.kill()
            self._configuration_write()
            command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._configuration)]
            log = self.directory / "start.log"
            with log.open("wb") as output:
                # It puts itself into the background once its socket is open, so it is never the agent's child.
                result = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
                    cwd="/",
                    start_new_session=True,
                    timeout=60,
                    check=False,
                )
            deadline = time.monotonic() + 20
            while not self.answers():
                if result.returncode or time.monotonic() > deadline:
                    lines = log.read_text(errors="replace").splitlines()[-15:]
                    detail = "The supervisor of services did not start."
                    raise MachineError(detail, code="machine:supervisor", log=lines)
                time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL every supervisord of ours, also one whose agent died before it could be noted."""
        processes_kill([(stat.pid, stat.started) for stat in processes_all() if self._is_ours(stat.pid)])
        (self.directory / "supervisord.pid").unlink(missing_ok=True)
        self.socket_path.unlink(missing_ok=True)

    def shutdown(self) -> None:
        """Tell supervisord to stop everything and end; SIGKILL when it does not."""
        with self.exclusive:
            pid = self.pid()
            if pid is None:
                return
            started = process_start(pid)
            with contextlib.suppress(OSError, xmlrpc.client.Error, http.client.HTTPException):
                self.call("supervisor.shutdown")
            deadline = time.monotonic() + STOP_SECONDS + 10
            while process_is(pid, started) and time.monotonic() < deadline:
                time.sleep(0.05)
            self.kill()

    def states(self) -> dict[str, str]:
        """Program name to supervisord's word for its state (RUNNING, STOPPED, EXITED, ...); empty when it is down."""
        if self.pid() is None:
            return {}
        with contextlib.suppress(OSError, xmlrpc.client.Error, http.client.HTTPException):
            return {entry["name"]: entry["statename"] for entry in self.call("supervisor.getAllProcessInfo")}
        return {}

    def program_add(self, workspace_id: str, service: str) -> str:
        """Write a service's program and make supervisord know it; returns the program's name."""
        name = program_name(workspace_id, service)
        directory_private(self.layout.logs(workspace_id))
        text_write(self._programs / f"{name}.conf", self._program(workspace_id, service))
        with self.exclusive:
            self.call("supervisor.reloadConfig")
            with _faults_ignored(_ALREADY_ADDED):
                self.call("supervisor.addProcessGroup", name)
        return name

    def program_start(self, name: str) -> None:
        with _faults_ignored(_ALREADY_STARTED):
            self.call("supervisor.startProcess", name, False)

    def program_stop(self, name: str, *, wait: float = STOP_SECONDS + 8) -> None:
        """Stop a program and wait for its end. Knows nothing of it: done.

        Asked again while it runs: supervisord refuses to stop a program that it is just about to start again.
        """
        deadline = time.monotonic() + wait
        while self.pid() is not None and time.monotonic() < deadline:
            state = self.states().get(name)
            if state in ("RUNNING", "STARTING", "BACKOFF"):
                with _faults_ignored(_BAD_NAME, _NOT_RUNNING):
                    self.call("supervisor.stopProcess", name, False)
            elif state != "STOPPING":
                return
            time.sleep(0.03)

    def program_remove(self, name: str) -> None:
        """Make supervisord forget a stopped program."""
        (self._programs / f"{name}.conf").unlink(missing_ok=True)
        if self.pid() is not None:
            with self.exclusive, _faults_ignored(_BAD_NAME):
                self.call("supervisor.removeProcessGroup", name)
                self.call("supervisor.reloadConfig")

    @property
    def _configuration(self) -> Path:
        return self.directory / "supervisord.conf"

    @property
    def _programs(self) -> Path:
        return directory_private(self.directory / "programs")

    def _configuration_write(self) -> None:
        for path in self._programs.glob("*.conf"):
            path.unlink()
        lines = [
            "[unix_http_server]",
            f"file={_escaped(self.socket_path)}",
            "chmod=0700",
            "username=slipway",
            f"password={self._password()}",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
            "[supervisord]",
            f"logfile={_escaped(self.directory / 'supervisord.log')}",
            "logfile_maxbytes=5MB",
            "logfile_backups=1",
            f"pidfile={_escaped(self.directory / 'supervisord.pid')}",
            f"childlogdir={_escaped(self.directory)}",
            "nocleanup=true",
            "umask=077",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[include]",
            # Relative to this file: in a whole path supervisord would take a space for the end of it.
            "files=programs/*.conf",
        ]
        text_write(self._configuration, "\n".join(lines) + "\n")

    def _program(self, workspace_id: str, service: str) -> str:
        code = (
            f"import sys; sys.path.insert(0, {str(_PACKAGE_ROOT)!r}); "
            "from apps.provisioning.machine.shim import main; main(sys.argv[1])"
        )
        directory = self.layout.service(workspace_id, service)
        command = shlex.join([sys.executable, "-I", "-S", "-c", code, str(directory)])
        lines = [
            f"[program:{program_name(workspace_id, service)}]",
            f"command={_escaped(command)}",
            "directory=/",
            "autostart=false",
            "autorestart=unexpected",
            f"exitcodes={FINAL}",
            "startsecs=0",
            "stopsignal=TERM",
            f"stopwaitsecs={STOP_SECONDS + 5}",
            "redirect_stderr=true",
            f"stdout_logfile={_escaped(self.layout.log(workspace_id, service))}",
            f"stdout_logfile_maxbytes={self.log_megabytes}MB",
            "stdout_logfile_backups=2",
        ]
        return "\n".join(lines) + "\n"


def program_name(workspace_id: str, service: str) -> str:
    return f"{workspace_id}.{service}"


def _escaped(value: object) -> str:
    """supervisord expands %(name)s, and takes ' ;' for a comment with no way to write it otherwise."""
    text = str(value)
    if "\n" in text or " ;" in text:
        raise MachineError(f"The data directory's path must not hold ' ;': {text}", code="machine:supervisor")
    return text.replace("%", "%%")


@contextlib.contextmanager
def _faults_ignored(*codes: int) -> Any:
    try:
        yield
    except xmlrpc.client.Fault as fault:
        if fault.faultCode not in codes:
            raise MachineError(f"The supervisor refused: {fault.faultString}", code="machine:supervisor") from fault
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise MachineError(f"The supervisor does not answer: {error}", code="machine:supervisor") from error
