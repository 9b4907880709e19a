"""What `manage.py up` says: one line a step with the seconds since the start."""

import sys
import time

STARTED = time.monotonic()


def say(text: str) -> None:
    """One line with the elapsed seconds."""
    plain(f"[{time.monotonic() - STARTED:6.1f} s] {text}")


def plain(text: str) -> None:
    """A text as it is. A closed terminal or a broken pipe must not keep the portal from ending in order."""
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - stays open until the end
