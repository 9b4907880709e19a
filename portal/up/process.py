"""Processes that can be told apart for certain, and that do not outlive a killed supervisor.

A pid alone names nobody: it is used again. A pid with the kernel's start time and the boot's id names one process ever.
"""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from portal.up.options import log_bytes_kept

PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot; `started` is in clock ticks since boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        started = started_at(pid)
        return None if started is None else cls(pid, started, boot_id())

    def alive(self) -> bool:
        return self.boot == boot_id() and started_at(self.pid) == self.started

    def signal(self, number: int) -> None:
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def wait(self, seconds: float) -> bool:
        """Whether it ended within the time; works for processes that are not our children."""
        deadline = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_at(pid: int) -> int | None:
    """Start time from /proc/<pid>/stat, field 22; None for no process and for a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses: count from the last one.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def record_write(path: Path, process: ProcessIdentity, **more: object) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(json.dumps({**asdict(process), "record": str(path), **more}), encoding="utf-8")
    draft.replace(path)


def record_read(path: Path) -> tuple[ProcessIdentity | None, dict[str, object]]:
    """The recorded process, where it still runs, and what else the record says.

    A record that lies elsewhere than it says came with a copied folder and names a process of the original: ignored.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        process = ProcessIdentity(int(content["pid"]), int(content["started"]), str(content["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None, {}
    if content.get("record") != str(path) or not process.alive():
        return None, content
    return process, content


def session_members(leader: ProcessIdentity) -> list[ProcessIdentity]:
    """Processes of the session that `leader` started; none of them can be older than it."""
    members = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.getsid(int(entry)) != leader.pid:
                continue
        except OSError:
            continue
        found = ProcessIdentity.of(int(entry))
        if found and found.started >= leader.started:
            members.append(found)
    return members


def session_end(leader: ProcessIdentity, *, number: int = signal.SIGTERM, grace: float = 5.0) -> None:
    """Ends a session: the signal to its leader, then, after the grace, SIGKILL to whatever is left of it."""
    leader.signal(number)
    leader.wait(grace)
    for member in session_members(leader):
        member.signal(signal.SIGKILL)
        member.wait(5.0)


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environ: Mapping[str, str],
    folder: Path,
    death_signal: int,
    prepare: Callable[[], None] | None = None,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts a command in a session of its own with its output appended to the log.

    `death_signal` reaches it when this process dies without having stopped it, even by SIGKILL. `prepare` runs in the
    child before the command; `keep` are file descriptors that it inherits. Call it from the main thread: the kernel
    sends the death signal when the *thread* that forked ends.
    """
    parent = os.getpid()

    def before_exec() -> None:
        if prepare:
            prepare()
        # After `prepare`: a change of credentials clears the death signal.
        _libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    log_trim(log)
    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environ),
            cwd=folder,
            start_new_session=True,
            preexec_fn=before_exec,  # noqa: PLW1509 - the supervisor has one thread
            pass_fds=tuple(keep),
        )


def die_with_parent(number: int) -> None:
    """Asks the kernel to send this process the signal when its parent ends."""
    _libc.prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def log_trim(log: Path) -> None:
    """Keeps one older log beside the current one, so that both together stay bounded."""
    try:
        if log.stat().st_size > log_bytes_kept():
            log.replace(log.with_suffix(".old.log"))
    except FileNotFoundError:
        pass
    log.touch(mode=0o600)


def log_rotate(log: Path) -> bool:
    """The same for a log that a running process appends to: the file stays, its content moves; whether it did.

    What is written in the moment between the copy and the cut is lost, which is at most some lines.
    """
    limit = log_bytes_kept()
    try:
        if log.stat().st_size <= limit:
            return False
        draft = log.with_suffix(".old.new")
        with log.open("rb") as content, draft.open("wb") as older:
            draft.chmod(0o600)
            # Something that writes without end must not make the older log larger than the limit.
            content.seek(-limit, os.SEEK_END)
            older.write(content.read(limit))
        draft.replace(log.with_suffix(".old.log"))
        os.truncate(log, 0)
    except OSError:
        return False
    return True


def log_tail(log: Path, lines: int = 8) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
