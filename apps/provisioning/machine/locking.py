"""Locking requirements: uv resolves them to pinned packages with hashes, inside the sandbox that services get.

Unless packages may be built from source no code of theirs runs: only wheels count, and only their metadata is read.
Where it may, it runs in the sandbox: as an OS user of its own where the machine has them, without the machine's files.
Each lock begins with an empty cache, so that nothing is left to the next one. The way to the package index is the
machine's own (`Runtimes.index_environment`).
"""

import os
import re
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .errors import MachineError
from .files import directory_private, text_write
from .isolation import interpreter
from .runtimes import Runtimes, hint_words, line_masked
from .sandboxes import Sandboxes
from .trees import tree_remove

SECONDS = 900
MAX_LOCK = 4_000_000
LAST_LINES = 30
# The sandbox's owner among the environments' (`owners.json`); no environment has this id.
OWNER = "00000000-0000-4000-8000-00000000100c"
# What the settings of the index may name: shown in the sandbox at its own place.
_PATHS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC", "UV_FIND_LINKS", "UV_CONFIG_FILE", "REQUESTS_CA_BUNDLE")
# Ends with the agent, gives way to people's work, and fills no disk.
_BOUNDED = """
import ctypes, os, resource, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, 1 << 30))
os.nice(10)
os.execv(sys.argv[2], sys.argv[2:])
"""
_WORDS = (
    (r"because (\S+) was not found in the package registry", "The package index has no package “{0}”."),
    (r"there (?:is|are) no versions? of (\S+)", "The package index has no version that fits {0}."),
    (r"wheels are required for `?(\S+?)`? because",
     "{0} has no wheel that fits: it would have to be built, which is not done here. Choose another version."),
    (r"(\S+) depends on python(\S+)", "{0} needs another Python ({1})."),
    (r"couldn't parse requirement .* at position", "One line is no requirement."),
    (r"no solution found", "The requirements contradict one another: no choice of versions fits them all."),
)  # fmt: skip


class LockingEnded(MachineError):
    """The agent is to end: nothing is said about the requirements."""


@dataclass(frozen=True)
class Locker:
    """Locks on one machine. `seconds` is the longest time that one lock may take."""

    runtimes: Runtimes
    sandboxes: Sandboxes
    seconds: float = SECONDS

    def lock(
        self, text: str, *, python: str, only_wheels: bool, ended: threading.Event, from_source: Sequence[str] = ()
    ) -> str:
        """The lock of `text`, for every system that the packages have wheels for; those in `from_source` may be built.

        Raises `MachineError`, its log uv's last lines, where there is none, and `LockingEnded` once `ended` is set.
        """
        self.runtimes.require_python(python)
        folder = directory_private(self._top() / f"{os.getpid()}-{threading.get_ident()}")
        try:
            home = directory_private(folder / "home")
            text_write(home / "requirements.in", text, mode=0o644)
            result = self._run(folder, home, _arguments(python, only_wheels, from_source), ended)
            if result.returncode:
                raise _refusal(result.stderr)
            # Where to look for the packages that are built from the lock, too; uv leaves it out.
            options = [line for line in text.splitlines() if line.startswith("-")]
            return "".join(f"{line}\n" for line in options) + _read(home / "requirements.lock")
        finally:
            tree_remove(folder)

    def rests_remove(self) -> None:
        """What a killed agent left. One agent works on a machine's folder, and it has begun nothing yet."""
        for path in self._top().iterdir():
            tree_remove(path)

    def _top(self) -> Path:
        return directory_private(self.runtimes.layout.root / "locking")

    def _run(
        self, folder: Path, home: Path, arguments: list[str], ended: threading.Event
    ) -> "subprocess.CompletedProcess[str]":
        index = self.runtimes.index_environment()
        uv = self.runtimes.executable()
        read = [Path(uv), *(Path(index[name]) for name in _PATHS if name in index)]
        configuration = self.runtimes.home() / ".config" / "uv"
        shown = [path for path in (*read, configuration, Path("/etc/uv")) if path.is_absolute() and path.exists()]
        uid = self.sandboxes.uid(OWNER)
        if uid is not None:
            for path in (home, *home.iterdir()):
                os.chown(path, uid, uid, follow_symlinks=False)
        sandbox = self.sandboxes.make(OWNER, home=home, private=folder / "private", read=tuple(shown))
        isolation = self.sandboxes.isolation
        seen = isolation.home_seen(home)
        environment = {
            **index,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "NO_COLOR": "1",
            "HOME": seen,
            "XDG_CONFIG_HOME": str(self.runtimes.home() / ".config"),
            "TMPDIR": isolation.scratch_seen(sandbox.scratch),
            "UV_CACHE_DIR": f"{seen}/.cache",
            "UV_NO_PROGRESS": "1",
        }
        argv = isolation.command(sandbox, [uv, *arguments])
        with (folder / "said").open("w+b") as said:
            return self._watched(argv, environment, home, said, ended)

    def _watched(
        self, argv: list[str], environment: dict[str, str], home: Path, said: BinaryIO, ended: threading.Event
    ) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-I", "-S", "-c", _BOUNDED, str(os.getpid()), *argv]
        deadline = time.monotonic() + self.seconds
        with subprocess.Popen(
            command, env=environment, cwd=home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said
        ) as process:
            while process.poll() is None:
                late = time.monotonic() > deadline
                if late or ended.is_set():
                    process.kill()
                    process.wait()
                    raise self._given_up(late=late)
                ended.wait(0.1)
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - 64_000))
        return subprocess.CompletedProcess(argv, process.returncode, "", said.read().decode("utf-8", "replace"))

    def _given_up(self, *, late: bool) -> MachineError:
        if not late:
            return LockingEnded("The machine's agent ended before the requirements were locked.")
        detail = f"Locking took longer than {self.seconds / 60:.0f} minutes and was ended. Name versions more exactly."
        return MachineError(detail, code="machine:locking-failed", status=422)


def _arguments(python: str, only_wheels: bool, from_source: Sequence[str]) -> list[str]:
    arguments = ["pip", "compile", "--universal", "--generate-hashes", "--no-header", "--no-sources", "--quiet"]
    arguments += ["--python", interpreter(), "--python-version", python, "--no-python-downloads"]
    # Written into the lock, so that no build takes a source package in a wheel's place either.
    if only_wheels:
        arguments += ["--only-binary", ":all:", "--emit-build-options"]
        # uv takes a package named here out of ":all:".
        arguments += [word for name in from_source for word in ("--no-binary", name)]
    return [*arguments, "requirements.in", "--output-file", "requirements.lock"]


def _read(path: Path) -> str:
    """Code in the sandbox may have put anything there: a link, a pipe, a gigabyte."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise MachineError("uv wrote no lock.", code="machine:locking-failed", status=422) from None
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_LOCK:
            raise MachineError("The lock is too large. Name fewer packages.", code="machine:locking-failed", status=422)
        return file.read(MAX_LOCK).decode("utf-8", "replace")


def _refusal(output: str) -> MachineError:
    lines = [line_masked(line) for line in output.splitlines() if line.strip()][-LAST_LINES:]
    hint = hint_words(output, "--hash=")
    return MachineError(
        f"The requirements could not be locked. {hint or refusal_words(' '.join(lines))}".strip(),
        code="machine:locking-failed",
        status=422,
        log=lines,
    )


def refusal_words(output: str) -> str:
    """What uv says about requirements that do not resolve, in a sentence; its own lines are shown beside it."""
    plain = " ".join(output.split())
    for pattern, words in _WORDS:
        if match := re.search(pattern, plain, re.IGNORECASE):
            return words.format(*(part.strip(",.`:") for part in match.groups() if part))
    return ""
