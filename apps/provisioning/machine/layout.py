"""Where everything of the machine lies below the agent's root, and which names are allowed there."""

import contextlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import InvalidRequest
from .files import directory_private, text_write

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
WORKSPACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}\Z")
DIGEST = re.compile(r"[0-9a-f]{64}\Z")

# The kernel allows 107 bytes; supervisord adds its pid to the name while it binds.
_SOCKET_PATH_LIMIT = 95


def name_checked(name: str, what: str) -> str:
    """`name` if it may be part of a path, else InvalidRequest."""
    if not NAME.match(name):
        raise InvalidRequest(
            f"{what} {name!r} is not a valid name: use 1 to 63 lower-case letters, digits, '-' and '_'.",
            code="machine:invalid-name",
        )
    return name


@dataclass(frozen=True)
class Layout:
    """Paths below the agent's root (0700)."""

    root: Path

    def create(self) -> None:
        directory_private(self.root)
        for name in ("volumes", "runtimes", "services", "supervisor", "logs", "workspaces", "cache"):
            directory_private(self.root / name)

    @property
    def supervisor(self) -> Path:
        return self.root / "supervisor"

    @property
    def runtimes(self) -> Path:
        return self.root / "runtimes"

    def volumes(self, workspace_id: str) -> Path:
        return self.root / "volumes" / workspace_id

    def volume(self, workspace_id: str, name: str) -> Path:
        return self.volumes(workspace_id) / name

    def services(self, workspace_id: str) -> Path:
        return self.root / "services" / workspace_id

    def service(self, workspace_id: str, name: str) -> Path:
        return self.services(workspace_id) / name

    def logs(self, workspace_id: str) -> Path:
        return self.root / "logs" / workspace_id

    def log(self, workspace_id: str, service: str) -> Path:
        return self.logs(workspace_id) / f"{service}.log"

    def workspace(self, workspace_id: str) -> Path:
        return self.root / "workspaces" / workspace_id

    def context(self, workspace_id: str) -> Path:
        return self.workspace(workspace_id) / "context.json"


def unix_socket_path(preferred: Path, *, record: Path) -> Path:
    """`preferred`, or where that is too long for a unix socket, a path in a private short directory.

    The short directory (0700, below $XDG_RUNTIME_DIR or /tmp) is written to the file `record` and used again as long
    as it is still ours, so that a restarted agent finds the socket of the one before.
    """
    if len(os.fsencode(preferred)) <= _SOCKET_PATH_LIMIT:
        return preferred
    with contextlib.suppress(OSError):
        known = Path(record.read_text(encoding="utf-8").strip())
        entry = os.lstat(known)
        if entry.st_uid == os.geteuid() and entry.st_mode & 0o170777 == 0o040700:
            return known / preferred.name
    parent = os.environ.get("XDG_RUNTIME_DIR") or "/tmp"  # noqa: S108 - mkdtemp makes a private directory in it
    if len(parent) > 60 or not os.access(parent, os.W_OK):
        parent = "/tmp"  # noqa: S108
    directory = Path(tempfile.mkdtemp(prefix="slipway-", dir=parent))
    text_write(record, f"{directory}\n")
    return directory / preferred.name
