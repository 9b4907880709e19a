"""Strict readers for settings from the environment.

A malformed value raises :class:`SettingError`, whose text names the variable and the cure; `manage.py` prints it and
stops. Every reader registers its variable, so that the configuration table in the README is generated, not written.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar, overload
from urllib.parse import urlsplit

T = TypeVar("T")

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


class SettingError(Exception):
    """A value in the environment cannot be used; the text names the variable and what would do."""


@dataclass(frozen=True)
class Setting:
    name: str
    kind: str
    default: str
    help: str


SETTINGS: dict[str, Setting] = {}


def _read(name: str, kind: str, default: T, help_text: str, parse: Callable[[str], T], cure: str) -> T:
    SETTINGS[name] = Setting(name, kind, "" if default is None else str(default), help_text)
    raw = os.environ.get(name, "").strip()
    if not raw:
        return default
    try:
        return parse(raw)
    except ValueError as error:
        shown = raw if len(raw) < 40 and "@" not in raw else "its value"
        raise SettingError(f"{name}: {shown} cannot be used; {error or cure}") from None


def _parse_bool(raw: str) -> bool:
    if raw.lower() in TRUE:
        return True
    if raw.lower() in FALSE:
        return False
    raise ValueError("write 1 or 0")


def boolean(name: str, *, default: bool, help: str) -> bool:
    return _read(name, "1 or 0", default, help, _parse_bool, "write 1 or 0")


def integer(name: str, *, default: int, help: str, minimum: int = 0, maximum: int = 2**31) -> int:
    def parse(raw: str) -> int:
        cure = f"write a whole number from {minimum} to {maximum}"
        try:
            value = int(raw)
        except ValueError:
            raise ValueError(cure) from None
        if not minimum <= value <= maximum:
            raise ValueError(cure)
        return value

    return _read(name, "number", default, help, parse, "write a whole number")


def text(name: str, *, default: str, help: str, choices: tuple[str, ...] = (), shown: str = "") -> str:
    """`shown` stands for the default in the documentation where the default differs from machine to machine."""

    def parse(raw: str) -> str:
        if choices and raw not in choices:
            raise ValueError(f"choose one of {', '.join(choices)}")
        return raw

    value = _read(name, " or ".join(choices) or "text", default, help, parse, "write text")
    if shown:
        SETTINGS[name] = replace(SETTINGS[name], default=shown)
    return value


def words(name: str, *, default: tuple[str, ...], help: str) -> tuple[str, ...]:
    """A list separated by commas; empty items are refused."""

    def parse(raw: str) -> tuple[str, ...]:
        items = tuple(item.strip() for item in raw.split(","))
        if not all(items):
            raise ValueError("separate the items by single commas")
        return items

    return _read(name, "list, by commas", default, help, parse, "separate the items by commas")


@overload
def url(name: str, *, default: str, help: str, schemes: tuple[str, ...]) -> str: ...
@overload
def url(name: str, *, default: None, help: str, schemes: tuple[str, ...]) -> str | None: ...
def url(name: str, *, default: str | None, help: str, schemes: tuple[str, ...]) -> str | None:
    def parse(raw: str) -> str:
        parts = urlsplit(raw)
        if parts.scheme not in schemes or not (parts.hostname or parts.path.strip("/")):
            raise ValueError(f"write a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        _ = parts.port
        return raw

    return _read(name, "URL", default, help, parse, "write a URL")
