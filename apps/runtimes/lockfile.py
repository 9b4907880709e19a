"""Reading a lock as uv writes it: one package a paragraph, `name==version ; marker \\ --hash=…`."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name

_PINNED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?\s*(==\s*(?P<version>[^\s;\\]+)|@\s*(?P<url>\S+))"
)
_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Difference:
    """What another version has more, less, and otherwise: packages as {name, version}, changed ones with `before`."""

    added: list[dict[str, str]]
    removed: list[dict[str, str]]
    changed: list[dict[str, str]]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def lock_digest(lock: str) -> str:
    """SHA-256 of the lock's text, hex."""
    return hashlib.sha256(lock.encode()).hexdigest()


def lock_packages(lock: str, *, python: str) -> list[dict[str, str]]:
    """{name, version} of what the lock installs on a machine like this one with that Python, by name.

    A lock for several platforms says with markers what is for which.
    """
    surroundings = {"python_version": python, "python_full_version": python if python.count(".") > 1 else f"{python}.0"}
    found = {}
    for line in lock.splitlines():
        match = _PINNED.match(line)
        if match is None or not _is_meant(line, surroundings):
            continue
        name = canonicalize_name(match["name"])
        found[name] = match["version"] or _PASSWORD.sub("••••••@", match["url"])
    return [{"name": name, "version": version} for name, version in sorted(found.items())]


def _is_meant(line: str, surroundings: dict[str, str]) -> bool:
    _, semicolon, marker = line.partition(" ;")
    marker = marker.split(" --hash", 1)[0].rstrip(" \\").strip()
    if not semicolon or not marker:
        return True
    try:
        return Marker(marker).evaluate(surroundings)
    except InvalidMarker:
        return True


def packages_difference(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Difference:
    old = {package["name"]: package["version"] for package in before}
    new = {package["name"]: package["version"] for package in after}
    return Difference(
        added=[{"name": name, "version": new[name]} for name in sorted(new.keys() - old.keys())],
        removed=[{"name": name, "version": old[name]} for name in sorted(old.keys() - new.keys())],
        changed=[
            {"name": name, "before": old[name], "version": new[name]}
            for name in sorted(new.keys() & old.keys())
            if old[name] != new[name]
        ],
    )
