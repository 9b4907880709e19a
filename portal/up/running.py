"""Letting `manage.py token`, `shell` and the like in another terminal find the services that a running `up` started.

Only the standard library: this runs before the settings are read.
"""

import json
import os
from pathlib import Path

from portal.up.process import record_read

ROOT = Path(__file__).resolve().parents[2]
SHARED = (
    "DATABASE_URL",
    "BROKER_URL",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_SERVER_SECRET",
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "SLIPWAY_KEYS",
    "SLIPWAY_KEYS_FILE",
    "PORTAL_URL",
    "SLIPWAY_PUBLIC_URL",
    "APPS_URL",
)


def addresses_publish(run: Path, environ: dict[str, str]) -> None:
    """Writes the addresses and keys for other commands of the same user (mode 0600)."""
    draft = run / ".environment.new"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({name: environ[name] for name in SHARED if name in environ}, file)
    draft.replace(run / "environment.json")


def running_portal_join() -> None:
    """Takes what the environment does not give from the portal that runs on the same SLIPWAY_DATA, if one does."""
    run = Path(os.environ.get("SLIPWAY_DATA", "").strip() or ROOT / ".slipway").resolve() / "run"
    try:
        process, _ = record_read(run / "up.json")
        shared = json.loads((run / "environment.json").read_text(encoding="utf-8")) if process else {}
    except (OSError, ValueError):
        return
    # A database of somebody's own never meets the keys of another.
    if os.environ.get("DATABASE_URL", "").strip():
        return
    for name in SHARED:
        if name in shared and not os.environ.get(name, "").strip():
            os.environ[name] = shared[name]
