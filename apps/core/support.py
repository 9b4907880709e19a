"""The support bundle: what somebody who helps wants to see of a portal, without a secret in it.

Texts pass three sieves: known values (keys, passwords and every secret file of the folder), the shapes of secrets, and
for the configuration the names of the variables.
"""

import io
import json
import os
import platform
import re
import sys
import tarfile
import time
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.core.redaction import MASK, SHORTEST_KNOWN, own_secrets, text_redacted

LOG_BYTES = 400_000
SECRET_NAME = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE", re.IGNORECASE)
SECRET_FILES = ("keys/*", "password", "agent/secret", "agent/supervisor/password")
OTHER_SETTINGS = ("TERRAFORM_BINARY", "SLIPWAY_MACHINE", "SLIPWAY_TF_MIRROR", "UV_DEFAULT_INDEX", "PIP_INDEX_URL")


class Sieve:
    """Takes out of a text every secret of this installation that is known."""

    def __init__(self, data: Path, environ: dict[str, str]) -> None:
        values = set(own_secrets())
        values |= {value for name, value in environ.items() if SECRET_NAME.search(name)}
        values |= {word for value in list(values) for word in value.split(",")}
        for pattern in SECRET_FILES:
            for path in data.glob(pattern):
                if path.is_file():
                    values |= set(path.read_text(encoding="utf-8", errors="replace").split())
        self._values = sorted((value for value in values if len(value) >= SHORTEST_KNOWN), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for value in self._values:
            text = text.replace(value, MASK)
        return text_redacted(text)


def bundle_write(target: Path, doctor: dict[str, Any], failures: list[dict[str, Any]]) -> list[str]:
    """Writes the bundle (mode 0600, gzip) and returns the names in it."""
    data = Path(settings.DATA_DIR).resolve()
    sieve = Sieve(data, dict(os.environ))
    parts: dict[str, str] = {
        "doctor.json": json.dumps(doctor, indent=1),
        "versions.json": json.dumps(_versions(), indent=1),
        "configuration.json": json.dumps(_configuration(), indent=1),
        "failures.json": json.dumps(failures, indent=1, default=str),
        **dict(_logs(data)),
    }
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, text in parts.items():
            content = sieve(text).encode()
            entry = tarfile.TarInfo(f"slipway-support/{name}")
            entry.size, entry.mode, entry.mtime = len(content), 0o600, int(time.time())
            tar.addfile(entry, io.BytesIO(content))
    return list(parts)


def _versions() -> dict[str, Any]:
    return {
        "python": sys.version,
        "machine": platform.platform(),
        "packages": sorted(f"{one.name}=={one.version}" for one in distributions()),
    }


def _configuration() -> dict[str, str]:
    """Every variable the portal reads: its value, or for a secret whether there is one."""
    from portal.env import SETTINGS

    shown = {}
    for name in sorted({*SETTINGS, *OTHER_SETTINGS}):
        value = os.environ.get(name, "")
        shown[name] = ("is set" if value else "") if SECRET_NAME.search(name) and not name.endswith("_FILE") else value
    return shown


def _logs(data: Path) -> Iterator[tuple[str, str]]:
    """The ends of the portal's own logs. Those of applications are people's."""
    for folder, names in (("logs", "*.log"), ("agent/supervisor", "supervisord.log")):
        for path in sorted((data / folder).glob(names)):
            with path.open("rb") as file:
                file.seek(max(0, path.stat().st_size - LOG_BYTES))
                yield f"logs/{path.name}", file.read().decode(errors="replace")
