"""Ends the portal that runs on a data folder: `python -m portal.up.stop`, which `make clean` calls."""

import os
import signal
import sys
from pathlib import Path

from portal.up.children import ROOT
from portal.up.lock import UpLock
from portal.up.output import say
from portal.up.places import Places, folder_private

SECONDS = 120


def main() -> int:
    data = Path(os.environ.get("SLIPWAY_DATA") or ROOT / ".slipway")
    if not data.exists():
        return 0
    lock = UpLock(Places(folder_private(data.resolve())))
    process, _, url = lock.holder()
    if process:
        say(f"Ending the portal at {url}")
        process.signal(signal.SIGTERM)
        if not process.wait(SECONDS):
            say(f"Process {process.pid} does not end")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
