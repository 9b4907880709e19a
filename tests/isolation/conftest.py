"""Machines as root and as an ordinary user, at each level of isolation that works here, and environments on them."""

import json
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from apps.provisioning.machine.entry import landlock_abi
from apps.provisioning.machine.isolation import bubblewrap_candidates
from apps.provisioning.machine.logs import log_read
from apps.provisioning.machine.tokens import secret_load, token_make
from apps.provisioning.machine.trees import tree_remove
from tests.provisioning.machine.conftest import Bench

REPOSITORY = Path(__file__).resolve().parents[2]
# Nobody's: no account, no files, no processes.
ORDINARY_UID = 54_321
LEVELS = ("root bubblewrap+uid", "root landlock", "ordinary bubblewrap", "ordinary landlock")


class Unavailable(Exception):
    """This machine cannot do it."""


def ordinary_prefix() -> list[str]:
    """Words before a Python command that run it as an ordinary user; none where the tests are one.

    Root's home may be shut to others and hold the interpreter: in a view of its own the command finds it there.
    """
    if os.geteuid() != 0:
        return []
    bwrap = next(iter(bubblewrap_candidates()), None)
    if bwrap is None:
        raise Unavailable("no bubblewrap to make an ordinary user's view with")
    words = [bwrap, "--dev-bind", "/", "/", "--die-with-parent", "--cap-add", "ALL"]
    shown = {Path(sys.base_prefix), Path(sys.prefix), REPOSITORY}
    shut = {parent for path in shown for parent in path.parents if not parent.stat().st_mode & 0o001}
    for parent in sorted(shut):
        words += ["--perms", "0755", "--tmpfs", str(parent)]
    for path in sorted(shown) if shut else ():
        for parent in reversed(path.parents):  # Those that bubblewrap makes by itself are root's alone.
            if any(over in (parent, *parent.parents) for over in shut):
                words += ["--perms", "0755", "--dir", str(parent)]
        words += ["--ro-bind", str(path), str(path)]
    code = (
        f"import os, sys; os.setgroups([]); os.setresgid(*[{ORDINARY_UID}] * 3); os.setresuid(*[{ORDINARY_UID}] * 3); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    return [*words, "--", sys.executable, "-I", "-S", "-c", code]


@dataclass
class Remote:
    """What a Bench asks of its machine, of one that runs in another process."""

    root: Path
    process: subprocess.Popen[bytes]
    canary: str
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def socket_path(self) -> Path:
        return self.root / "run" / "agent.sock"

    @property
    def isolation(self) -> str:
        return str(self.said["isolation"])

    def environment_token(self, workspace: str) -> str:
        return token_make(secret_load(self.root / "agent" / "secret"), workspace)

    def log_tail(self, workspace: str, service: str, offset: str = "") -> tuple[str, str]:
        return log_read(self.root / "agent" / "logs" / workspace / f"{service}.log", offset)

    def volume(self, workspace: str) -> Path:
        return self.root / "agent" / "volumes" / workspace / "home"


def remote_start(level: str, **options: Any) -> Remote:
    """Raises Unavailable where this machine has no such user or no such isolation."""
    user, _, isolation = level.partition(" ")
    if user == "root" and os.geteuid() != 0:
        raise Unavailable("the tests do not run as root")
    if isolation == "landlock" and not landlock_abi():
        raise Unavailable("the kernel has no Landlock")
    root = Path(tempfile.mkdtemp(prefix="sli-"))
    prefix = ordinary_prefix() if user == "ordinary" else []
    if prefix:
        os.chown(root, ORDINARY_UID, ORDINARY_UID)
    canary = secrets.token_hex(16)
    command = [*prefix, sys.executable, "-m", "tests.isolation.machine_process", str(root)]
    process = subprocess.Popen(
        [*command, json.dumps({"isolation": isolation, **options})],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "CANARY": canary},
    )  # fmt: skip
    remote = Remote(root, process, canary)
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    if not line:
        said = process.stderr.read().decode()
        process.wait()
        tree_remove(root)
        if "RuntimeError: No isolation" in said or "Permission denied" in said or "bwrap:" in said:
            raise Unavailable(said.strip().splitlines()[-1])
        raise AssertionError(said)
    remote.said = json.loads(line)
    return remote


def remote_stop(remote: Remote) -> None:
    try:
        remote.process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        remote.process.kill()
        remote.process.communicate()
        raise
    finally:
        tree_remove(remote.root)


@pytest.fixture
def remote_make() -> Iterator[Callable[..., Remote]]:
    """`remote_make(level, **options)`; skips by name what this machine cannot do."""
    made: list[Remote] = []

    def make(level: str, **options: Any) -> Remote:
        try:
            made.append(remote_start(level, **options))
        except Unavailable as reason:
            pytest.skip(f"{level}: {reason}")
        return made[-1]

    yield make
    for remote in made:
        remote_stop(remote)


def bench_on(remote: Remote) -> Bench:
    """A new environment on the machine."""
    return Bench(remote)  # type: ignore[arg-type]
