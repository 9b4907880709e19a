"""What `manage.py up` reads from the environment besides the portal's settings."""

import os
from dataclasses import dataclass

from portal import env


@dataclass(frozen=True)
class UpOptions:
    """`given` are the addresses that the person running `up` chose; those services are not started here."""

    bind: str
    port: int
    demo: bool
    given: frozenset[str]
    demo_experiments: bool = True


ADDRESSES = (
    "DATABASE_URL",
    "BROKER_URL",
    "MLFLOW_TRACKING_URI",
    "PORTAL_URL",
    "APPS_URL",
    "SECRET_KEY",
    "SLIPWAY_KEYS",
    "SLIPWAY_KEYS_FILE",
)


def options_read() -> UpOptions:
    """Raises SettingError for a value that cannot be used. Django's settings checked the addresses already."""
    log_bytes_kept()
    return UpOptions(
        bind=env.text("BIND", default="127.0.0.1", help="IP address on which `make up` listens; 0.0.0.0 for all."),
        port=env.integer(
            "PORT", default=8000, minimum=1, maximum=65535, help="Port of `make up`; when taken, the next free one."
        ),
        demo=env.boolean("DEMO", default=True, help="0 makes `make up` start an empty workspace without demo people."),
        demo_experiments=env.boolean(
            "DEMO_EXPERIMENTS", default=True, help="0 leaves out what the demo trains: people, teams and modules only."
        ),
        given=frozenset(name for name in ADDRESSES if os.environ.get(name, "").strip()),
    )


def log_bytes_kept() -> int:
    """Size at which the log of a process of the portal begins anew."""
    help_text = "Size at which the log of each process of `make up` begins anew; one older one is kept."
    return 1_000_000 * env.integer("KEEP_PORTAL_LOG_MEGABYTES", default=5, minimum=1, maximum=10_000, help=help_text)
