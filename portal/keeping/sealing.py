"""A passphrase around what an archive must not show: scrypt (RFC 7914) makes the key, Fernet the seal."""

import base64
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from portal.keeping.errors import KeepingError

COST, BLOCK, PARALLEL = 2**15, 8, 1
SHORTEST = 12


def passphrase_read(path: Path) -> str:
    """The first line of the file; raises KeepingError where it is no passphrase."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise KeepingError(f"{path}: {error.strerror}") from None
    if not lines or len(lines[0]) < SHORTEST:
        raise KeepingError(f"{path}: a passphrase of at least {SHORTEST} characters belongs on its first line.")
    return lines[0]


class Seal:
    """Seals with a passphrase, or, without one, leaves everything as it is."""

    def __init__(self, passphrase: str | None, *, salt: bytes | None = None) -> None:
        self.salt = salt or os.urandom(16)
        self._fernet = Fernet(_key(passphrase, self.salt)) if passphrase else None

    @property
    def described(self) -> dict[str, Any] | None:
        """For the manifest; None where nothing is sealed."""
        return {"kdf": "scrypt", "salt": self.salt.hex()} if self._fernet else None

    @classmethod
    def of(cls, described: dict[str, Any] | None, passphrase: str | None) -> "Seal":
        """Raises KeepingError where the archive wants a passphrase and none was given."""
        if described is None:
            return cls(None)
        if passphrase is None:
            raise KeepingError("This backup is sealed: name the file of its passphrase with --passphrase-file.")
        return cls(passphrase, salt=bytes.fromhex(described["salt"]))

    def close(self, plain: bytes) -> bytes:
        return self._fernet.encrypt(plain) if self._fernet else plain

    def open(self, content: bytes) -> bytes:
        if self._fernet is None:
            return content
        try:
            return self._fernet.decrypt(content)
        except InvalidToken:
            raise KeepingError(
                "The passphrase is not the one this backup was made with. Nothing was changed."
            ) from None


def _key(passphrase: str, salt: bytes) -> bytes:
    raw = Scrypt(salt=salt, length=32, n=COST, r=BLOCK, p=PARALLEL).derive(passphrase.encode())
    return base64.urlsafe_b64encode(raw)
