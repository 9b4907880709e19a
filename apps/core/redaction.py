"""Taking secrets out of text that people or logs will see: by their shape, and by their value where it is known.

The last line of defence. What must not be shown is kept out where it comes from; this catches what an exception, a
library or a program says of its own accord.
"""

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from apps.core.crypto import key_texts

MASK = "••••••"
SHORTEST_KNOWN = 8

# scheme://user:password@ and, for what is fetched over HTTP, scheme://token@
ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]*://)([^\s/?#@:]*):([^\s/?#@]+)@", re.IGNORECASE)
ADDRESS_TOKEN = re.compile(r"\b(https?://)([^\s/?#@:]+)@", re.IGNORECASE)
SHAPES = (
    (re.compile(r"\bslw_[A-Za-z0-9_-]{16,}"), f"slw_{MASK}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{12,}", re.IGNORECASE), rf"\1 {MASK}"),
    (ADDRESS, rf"\1\2:{MASK}@"),
    (ADDRESS_TOKEN, rf"\1{MASK}@"),
)


def holds_credentials(text: str) -> bool:
    """Whether a text is or holds an address with a password, or a web address with a token, in front of its host."""
    return bool(ADDRESS.search(text) or ADDRESS_TOKEN.search(text))


def text_redacted(text: str) -> str:
    """`text` without what has the shape of a secret: our tokens, Authorization headers, passwords of addresses."""
    for pattern, replacement in SHAPES:
        text = pattern.sub(replacement, text)
    return text


@lru_cache(maxsize=4)
def _own(values: tuple[str, ...]) -> tuple[str, ...]:
    found: set[str] = set()
    for value in values:
        password = urlsplit(value).password if "://" in value else value
        found |= {password or "", unquote(password or "")}
    return tuple(sorted((value for value in found if len(value) >= SHORTEST_KNOWN), key=len, reverse=True))


def secret_keys() -> tuple[str, ...]:
    """Empty where a command runs without one: Django refuses to give an empty value."""
    try:
        return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    except ImproperlyConfigured:
        return ()


def own_secrets() -> Iterable[str]:
    """The values of this installation: keys, and the passwords of its services."""
    return _own(
        (
            *secret_keys(),
            *key_texts(),
            settings.DATABASE_URL,
            settings.BROKER_URL,
            settings.MLFLOW_SERVER_SECRET,
            settings.MLFLOW_SERVER_TOKEN,
        )
    )


class RedactingFormatter(logging.Formatter):
    """Formats a whole record, its traceback included, and then takes secrets out of it; one line break, one record.

    A line break inside the message is shown as one, so that nobody can write a line of somebody else's into the log.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        if "\n" in record.message or "\r" in record.message:
            record.message = record.message.replace("\r", "\\r").replace("\n", "\\n")
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in own_secrets():
            if secret in text:
                text = text.replace(secret, MASK)
        return text_redacted(text)
