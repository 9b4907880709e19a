"""Encryption at rest: the first of `SLIPWAY_KEYS` encrypts, all of them decrypt."""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


class KeyLost(Exception):
    """A stored secret was encrypted with a key that is no longer in `SLIPWAY_KEYS`."""


@lru_cache(maxsize=4)
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("SLIPWAY_KEYS: give at least one Fernet key; `manage.py make_key` prints one")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ImproperlyConfigured("SLIPWAY_KEYS: a key is not 32 url-safe base64 bytes; see `make_key`") from None


def encrypt(plain: bytes) -> bytes:
    return _fernet(tuple(settings.SLIPWAY_KEYS)).encrypt(plain)


def decrypt(cipher: bytes) -> bytes:
    try:
        return _fernet(tuple(settings.SLIPWAY_KEYS)).decrypt(bytes(cipher))
    except InvalidToken:
        raise KeyLost("No key in SLIPWAY_KEYS opens this value; add the key it was written with") from None


def encrypt_json(value: Any) -> bytes:
    return encrypt(json.dumps(value).encode())


def decrypt_json(cipher: bytes) -> Any:
    return json.loads(decrypt(cipher))
