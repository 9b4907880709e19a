"""What every portal of a test run would make anew and the same, made once by the portal's own code: a data folder after
a first start from nothing, and the packages of the notebook. The first test that wants one makes it, others wait.

`SLIPWAY_TEST_PREPARED` names the folder; `make test` has one for both of its parts.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from apps.provisioning.machine.files import directory_private
from apps.provisioning.machine.layout import DIGEST, Layout
from apps.provisioning.machine.runtimes import Runtimes, RuntimeSpec

FOLDER = "SLIPWAY_TEST_PREPARED"
# Modules that train, serve and compute have one lock, and a runtime each for what is laid over it.
LOCK = Path(__file__).parents[1] / "terraform" / "modules" / "local-notebook" / "runtime" / "requirements.lock"


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` has filled, in this process or in another one of the run."""
    folder = directory_private(Path(os.environ[FOLDER]))
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = folder / name
        if not made.exists():
            # Short: a portal's sockets lie in it.
            draft = Path(tempfile.mkdtemp(prefix="slp-"))
            try:
                make(draft)
                shutil.move(draft, made)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return made


def packages_lend(agent: Path) -> None:
    """Before a machine's agent starts with this folder: it has downloaded the packages of the notebook and compiled
    them for somebody before. It still builds every runtime that is asked of it."""
    if FOLDER not in os.environ:
        return
    shared = Layout(made_once("packages", _packages_make))
    own = Layout(agent)
    own.create()
    (own.root / "cache" / "uv").symlink_to(shared.root / "cache" / "uv")
    for path in shared.runtimes.iterdir():
        if DIGEST.match(path.name):
            (own.runtimes / path.name).symlink_to(path)


def _packages_make(folder: Path) -> None:
    layout = Layout(folder)
    layout.create()
    Runtimes(layout).put("prepared", RuntimeSpec(LOCK.read_text(encoding="utf-8")))
