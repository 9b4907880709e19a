"""One journey through a portal of its own, watched from the outside; every test then looks in one place."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Portal, port_free, portal_start, portal_stop
from tests.prepared import packages_lend
from tests.secrets.journey import Journey, journey_make
from tests.secrets.watching import ProcessWatch

LEAKY = Path(__file__).parent / "leaky"


@pytest.fixture(scope="session")
def journey() -> Iterator[Journey]:
    folder = Path(tempfile.mkdtemp(prefix="slipway-secrets-"))
    data = folder / "data"
    data.mkdir(mode=0o700)
    # What stands for the terminal here is a file, and the password is told there.
    (folder / "up.log").touch(mode=0o600)
    processes = ProcessWatch().start()
    portal = None
    try:
        packages_lend(data / "agent")
        # Also what a first start writes down is looked through.
        portal = portal_start(data, port_free(), first=True)
        manage(portal, "register_module", str(LEAKY))
        yield journey_make(portal, processes)
    finally:
        processes.stop()
        if portal is not None and portal.process is not None and portal.process.poll() is None:
            portal_stop(portal)
        shutil.rmtree(folder, ignore_errors=True)


def manage(portal: Portal, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=portal.environ(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
