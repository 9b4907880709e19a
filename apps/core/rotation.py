"""Changing the key that encrypts, while everything runs.

1. A new key is written in front of the others in the key file, by one rename. Every process looks at the file before
   each use, so from here on everything new is under it, and everybody can read both.
2. What is still under an older key is written anew, value by value (`ciphers_rotate`).
3. An older key may go once no value needs it and no transaction is open that began before the new key was there.

Ended anywhere and run again, it goes on: a new key is only made where everything is under the present one.
"""

import os
import secrets
import time
from pathlib import Path

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection

from apps.core.ciphers import ciphers_rotate, keys_in_use
from apps.core.crypto import keys_known
from apps.core.exceptions import UserError

TRANSACTIONS_SECONDS = 60
OLDER_TRANSACTIONS = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
       AND state <> 'idle' AND xact_start <= %s
)
"""
# How long after the new key came a value may still be on its way that was encrypted just before.
ON_THE_WAY_SECONDS = 10


class RotationRefused(UserError):
    """The keys cannot be changed by this command; the text says what to do instead."""

    code = "core:rotation-refused"


def key_file() -> Path | None:
    """The file the keys come from; None where they are in the environment."""
    if settings.SLIPWAY_KEYS or not settings.SLIPWAY_KEYS_FILE:
        return None
    return Path(settings.SLIPWAY_KEYS_FILE)


def keys_outdated() -> int:
    """How many values are not under the first key."""
    first = keys_known().first
    return sum(kinds.total() for name, kinds in keys_in_use().items() if name != first)


def key_add(path: Path) -> str:
    """Put a new key in front; returns its id."""
    lines = path.read_text(encoding="ascii").split()
    file_replace(path, [Fernet.generate_key().decode(), *lines])
    return keys_known().first


def keys_drop(path: Path) -> list[str]:
    """Take every key but the first out of the file, and return their ids.

    Raises RotationRefused where a value still needs one.
    """
    time.sleep(max(0.0, path.stat().st_mtime + ON_THE_WAY_SECONDS - time.time()))
    _transactions_wait()
    ciphers_rotate()
    left = keys_outdated()
    if left:
        raise RotationRefused(f"{left} values still need an older key: run `manage.py rotate_keys` first")
    ids = list(keys_known().by_id)[1:]
    first, *older = path.read_text(encoding="ascii").split()
    if older:
        file_replace(path, [first])
    return ids


def file_replace(path: Path, lines: list[str]) -> None:
    """A reader sees the old file or the new one; the new one is on disk before it takes the place."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        if path.exists():
            owner = path.stat()
            os.fchmod(file.fileno(), owner.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fsync(file.fileno())
    draft.replace(path)


def _transactions_wait() -> None:
    """Until every transaction of this database that is open now has ended: one could still commit an older cipher.

    Those of other databases of the server are nothing to us, which is why this asks for activities, not for snapshots.
    """
    deadline = time.monotonic() + TRANSACTIONS_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (barrier,) = cursor.fetchone()
        while time.monotonic() < deadline:
            cursor.execute(OLDER_TRANSACTIONS, [barrier])
            if not cursor.fetchone()[0]:
                return
            time.sleep(0.2)
    raise RotationRefused(f"A transaction of the database is open for over {TRANSACTIONS_SECONDS} s; try again later")
