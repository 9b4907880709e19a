"""Encryption at rest: the first key encrypts, all of them decrypt.

Keys come from `SLIPWAY_KEYS`, or from the file `SLIPWAY_KEYS_FILE` (one a line, the newest first), which is looked at
before each use: a key that `rotate_keys` puts there is known to every running process at once.

A stored value is `<key id>:<Fernet token>`, so that the database alone can tell which keys are still needed.
"""

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEY_ID_LENGTH = 8
# Values of before keys had an id begin with the version byte of every Fernet token.
UNNAMED = b"gAAAAA"


class KeyLost(Exception):
    """A stored secret was encrypted with a key that is no longer known; `key_id` names it where the value does."""

    def __init__(self, key_id: str = "") -> None:
        self.key_id = key_id
        named = f"key {key_id}" if key_id else "the key it was written with"
        super().__init__(f"This value needs {named}: add it to SLIPWAY_KEYS, or its file, again")


@dataclass(frozen=True)
class Keys:
    """The known keys by id, the one that encrypts first."""

    by_id: dict[str, Fernet]

    @property
    def first(self) -> str:
        return next(iter(self.by_id))


def key_id(key: str) -> str:
    """Names a key without telling anything of it: the beginning of a SHA-256 over its 32 bytes."""
    raw = base64.urlsafe_b64decode(key)
    return hashlib.sha256(b"slipway key id\0" + raw).hexdigest()[:KEY_ID_LENGTH]


def keys_known() -> Keys:
    """Raises ImproperlyConfigured where there is no key, or one that cannot be used."""
    if settings.SLIPWAY_KEYS or not settings.SLIPWAY_KEYS_FILE:
        return _keys(tuple(settings.SLIPWAY_KEYS))
    path = str(settings.SLIPWAY_KEYS_FILE)
    try:
        seen = os.stat(path)
        return _keys_of_file(path, (seen.st_mtime_ns, seen.st_ino, seen.st_size))
    except OSError as error:
        raise ImproperlyConfigured(f"SLIPWAY_KEYS_FILE: {path} cannot be read ({error.strerror})") from None


def key_texts() -> tuple[str, ...]:
    """The keys themselves, for what keeps them out of logs; empty where they cannot be had."""
    if settings.SLIPWAY_KEYS or not settings.SLIPWAY_KEYS_FILE:
        return tuple(settings.SLIPWAY_KEYS)
    try:
        seen = os.stat(settings.SLIPWAY_KEYS_FILE)
        return _texts_of_file(settings.SLIPWAY_KEYS_FILE, (seen.st_mtime_ns, seen.st_ino, seen.st_size))
    except (OSError, UnicodeError):
        return ()


@lru_cache(maxsize=4)
def _texts_of_file(path: str, mark: tuple[int, int, int]) -> tuple[str, ...]:
    return tuple(Path(path).read_text(encoding="ascii").split())


@lru_cache(maxsize=4)
def _keys_of_file(path: str, mark: tuple[int, int, int]) -> Keys:
    return _keys(_texts_of_file(path, mark))


@lru_cache(maxsize=8)
def _keys(keys: tuple[str, ...]) -> Keys:
    if not keys:
        raise ImproperlyConfigured("SLIPWAY_KEYS: give at least one Fernet key; `manage.py make_key` prints one")
    try:
        return Keys({key_id(key): Fernet(key) for key in keys})
    except ValueError:
        raise ImproperlyConfigured("SLIPWAY_KEYS: a key is not 32 url-safe base64 bytes; see `make_key`") from None


def encrypt(plain: bytes) -> bytes:
    keys = keys_known()
    return f"{keys.first}:".encode() + keys.by_id[keys.first].encrypt(plain)


def decrypt(cipher: bytes) -> bytes:
    """Raises KeyLost."""
    keys = keys_known()
    cipher = bytes(cipher)
    if cipher.startswith(UNNAMED):
        for fernet in keys.by_id.values():
            try:
                return fernet.decrypt(cipher)
            except InvalidToken:
                continue
        raise KeyLost
    name, _, token = cipher.partition(b":")
    written_with = name.decode("ascii", "replace")
    try:
        return keys.by_id[written_with].decrypt(token)
    except KeyError:
        raise KeyLost(written_with) from None
    except InvalidToken:
        # The right key does not open it: the value itself was changed or cut off.
        raise KeyLost(written_with) from None


def encrypt_json(value: Any) -> bytes:
    return encrypt(json.dumps(value).encode())


def decrypt_json(cipher: bytes) -> Any:
    return json.loads(decrypt(cipher))
