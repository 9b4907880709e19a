"""Where everything lies under SLIPWAY_DATA, made with modes that keep other people of the machine out."""

import os
import secrets
import stat
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

# A unix socket's path may have 107 bytes; the longest name in the folder is PostgreSQL's ".s.PGSQL.5432.lock".
SOCKET_FOLDER_MAXIMUM = 85


class PlaceUnsafe(Exception):
    """A folder cannot be used because others could write to it or read it."""


@dataclass(frozen=True)
class Places:
    """The folders of one installation; every one of them is made on first use, with mode 0700."""

    data: Path

    @cached_property
    def run(self) -> Path:
        return folder_private(self.data / "run")

    @cached_property
    def logs(self) -> Path:
        return folder_private(self.data / "logs")

    @cached_property
    def keys(self) -> Path:
        return folder_private(self.data / "keys")

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    @cached_property
    def sockets(self) -> Path:
        """`run/`, or where its path is too long for a unix socket a short private folder that `run/sockets` records."""
        if len(os.fsencode(self.run)) <= SOCKET_FOLDER_MAXIMUM:
            return self.run
        record = self.run / "sockets"
        if record.exists():
            recorded = Path(record.read_text(encoding="utf-8").strip())
            # Whoever can write to /tmp could have made it again in the meantime.
            if folder_is_private(recorded):
                return recorded
        short = Path(tempfile.mkdtemp(prefix="slipway-", dir=_short_parent()))
        record.write_text(f"{short}\n", encoding="utf-8")
        return short

    def secret(self, name: str) -> str:
        """A random secret of 43 characters, made once and kept in a file of mode 0600."""
        return secret_file(self.keys / name, make=lambda: secrets.token_urlsafe(32))


def secret_file(path: Path, *, make) -> str:  # type: ignore[no-untyped-def]
    """The stripped content of the file; made by `make` and published by one rename where there is none."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{make()}\n")
        draft.replace(path)
    return path.read_text(encoding="utf-8").strip()


def folder_private(path: Path) -> Path:
    """Makes the folder with mode 0700; tightens one of our own that is wider. Parents are left as they are.

    Raises PlaceUnsafe for a folder of somebody else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise PlaceUnsafe(f"{path} belongs to another user; remove it or set SLIPWAY_DATA to a folder of your own.")
    if stat.S_IMODE(status.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def folder_is_private(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) == 0o700


def _short_parent() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and len(runtime) < 40 and folder_is_private(Path(runtime)):
        return runtime
    return "/tmp"  # noqa: S108 - mkdtemp makes a private folder of an unguessable name in it
