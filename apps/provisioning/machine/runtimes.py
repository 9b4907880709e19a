"""Runtimes: Python environments built by uv from a locked requirements file, kept by digest, built once.

A runtime is built in a hidden directory and renamed when it is whole (`uv venv --relocatable`, so nothing in it names
the directory it was built in). All may read it; services get it read-only, which is why byte code is compiled here.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from .bytecode import COMPILED, bytecode_link, bytecode_strip, compile_arguments, compiled_here
from .errors import InvalidRequest, MachineError, NotFound
from .files import directory_private, json_read, json_write, names_in
from .isolation import interpreter
from .layout import DIGEST, Layout
from .trees import tree_remove, tree_used_bytes

BUILD_SECONDS = 1800
_PYTHON = re.compile(r"3\.\d{1,2}(\.\d{1,2})?\Z")
# The machine's way to its package index: passed to the build and to nothing else.
_PASSED = re.compile(
    r"(UV_.*|PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CERT|CLIENT_CERT|TRUSTED_HOST|NO_INDEX)|"
    r"SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|NETRC|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY)\Z"
)
# These would move the cache, the interpreter or the target away from where the machine keeps them.
_KEPT_BACK = re.compile(
    r"UV_(CACHE_DIR|LINK_MODE|PYTHON|PROJECT.*|WORKING_DIR.*|SYSTEM_PYTHON|TARGET|PREFIX|CONSTRAINT|"
    r"OVERRIDE|REQUIRE_HASHES|NO_VERIFY_HASHES|PUBLISH.*|BUILD_CONSTRAINT|VENV.*|NO_BINARY.*)\Z"
)
# Before uv of a build ahead: lowest priority, and an end with the agent, however that ends.
_LEAST_URGENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.nice(19)
os.execv(sys.argv[2], sys.argv[2:])
"""
# The names pip and uv give to the same settings.
_PIP_TO_UV = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_EXTRA_INDEX_URL": "UV_INDEX", "PIP_FIND_LINKS": "UV_FIND_LINKS",
              "PIP_CERT": "SSL_CERT_FILE", "PIP_NO_INDEX": "UV_NO_INDEX"}  # fmt: skip


@dataclass(frozen=True)
class RuntimeSpec:
    """What a runtime is made of: without `python` the machine's own, `files` laid over its site-packages."""

    requirements: str
    python: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Wanted:
    """A runtime to be: its digest, the lock's text, files to lay over, the interpreter and its full version."""

    digest: str
    text: str
    files: Mapping[str, str]
    executable: str
    version: str


def path_is_inside(name: str) -> bool:
    """Whether a relative path stays where it is put."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


class Runtimes:
    """All runtimes of the machine, shared between environments; each environment holds references."""

    def __init__(self, layout: Layout, *, uv: str | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.layout = layout
        self._uv = uv
        self._environ = os.environ if environ is None else environ
        self._lock = threading.Lock()

    def put(self, workspace_id: str, spec: RuntimeSpec) -> dict[str, Any]:
        """The runtime for a lock text, built unless it is there. Concurrent callers wait for one build."""
        wanted = self._wanted(spec)
        reused = True
        with self._locked(wanted.digest):
            if not self._whole(wanted.digest):
                reused = False
                self._build(wanted, ended=None)
            directory_private(self._references(wanted.digest) / workspace_id)
        return {**self._described(wanted.digest), "reused": reused}

    def is_built(self, spec: RuntimeSpec) -> bool:
        return self._whole(self.digest(spec))

    def digest(self, spec: RuntimeSpec) -> str:
        """The name under which the runtime is kept: the same content has the same."""
        return self._wanted(spec).digest

    def size_bytes(self, spec: RuntimeSpec) -> int:
        """What its files take on disk, those it shares with others counted whole; 0 where it is not built."""
        path = self.path(self.digest(spec))
        return tree_used_bytes(path) if path.is_dir() else 0

    def discard(self, spec: RuntimeSpec) -> None:
        """Remove a runtime that nobody has been given."""
        digest = self.digest(spec)
        with self._locked(digest):
            if not names_in(self._references(digest)):
                tree_remove(self.path(digest))

    def require_python(self, python: str) -> None:
        """Raises `MachineError` where this machine has no such Python."""
        self._interpreter(python)

    def prepare(self, spec: RuntimeSpec, *, ended: threading.Event) -> None:
        """Build a runtime for nobody yet, as the least urgent work; given up (MachineError) once `ended` is set."""
        wanted = self._wanted(spec)
        with self._locked(wanted.digest):
            if not self._whole(wanted.digest):
                self._build(wanted, ended=ended)

    def _wanted(self, spec: RuntimeSpec) -> _Wanted:
        if spec.python and not _PYTHON.match(spec.python):
            raise InvalidRequest(
                f"{spec.python!r} is not a Python version such as 3.11.", code="machine:invalid-python"
            )
        executable, version = self._interpreter(spec.python)
        text = "\n".join(line.rstrip() for line in spec.requirements.splitlines()).strip() + "\n"
        identity = json.dumps([text, version, sysconfig.get_platform(), sorted(spec.files.items()), "2"])
        return _Wanted(hashlib.sha256(identity.encode()).hexdigest(), text, spec.files, executable, version)

    def get(self, workspace_id: str, digest: str) -> dict[str, Any]:
        if (
            not DIGEST.match(digest)
            or not (self._references(digest) / workspace_id).is_dir()
            or not self._whole(digest)
        ):
            raise NotFound("There is no such runtime in this environment.", code="machine:runtime-not-found")
        return {**self._described(digest), "reused": True}

    def delete(self, workspace_id: str, digest: str) -> None:
        """Drop the environment's reference. The runtime itself is kept for the next launch (`unreferenced_remove`)."""
        if DIGEST.match(digest):
            with contextlib.suppress(OSError):
                (self._references(digest) / workspace_id).rmdir()

    def workspace_forget(self, workspace_id: str) -> None:
        for digest in names_in(self.layout.runtimes / "references"):
            self.delete(workspace_id, digest)

    def unreferenced_remove(
        self, *, keep: int, used: Collection[str] = (), unwanted: Collection[str] = ()
    ) -> list[str]:
        """Delete runtimes no environment refers to, all but the `keep` most recently built and those in `used`; of the
        `unwanted` ones none is kept for being recent. Returns the digests of what is gone."""
        found = [
            digest
            for digest in names_in(self.layout.runtimes)
            if DIGEST.match(digest) and digest not in used and not names_in(self._references(digest))
        ]
        found.sort(key=lambda digest: self.path(digest).stat().st_mtime, reverse=True)
        recent = [digest for digest in found if digest not in unwanted][:keep]
        gone = [digest for digest in found if digest not in recent]
        for digest in gone:
            with self._locked(digest):
                if not names_in(self._references(digest)):
                    tree_remove(self.path(digest))
        return gone

    def path(self, digest: str) -> Path:
        return self.layout.runtimes / digest

    def read_paths(self, digest: str) -> tuple[Path, ...]:
        """What a sandbox must see for the runtime to work: itself, and the interpreter it was made from."""
        record = json_read(self.path(digest) / "slipway.json") or {}
        prefixes = [Path(prefix) for prefix in record.get("prefixes", ())]
        return (self.path(digest), *prefixes)

    def rests_remove(self) -> None:
        """Remove what an interrupted build left. A build under way holds the digest's lock."""
        for path in self.layout.runtimes.glob(".building-*"):
            digest = path.name.removeprefix(".building-")[:64]
            with self._locked(digest, wait=False) as held:
                if held:
                    tree_remove(path)

    def _references(self, digest: str) -> Path:
        return self.layout.runtimes / "references" / digest

    def _described(self, digest: str) -> dict[str, Any]:
        record = json_read(self.path(digest) / "slipway.json") or {}
        return {"id": digest, "path": str(self.path(digest)), "python": record.get("python", "")}

    def _whole(self, digest: str) -> bool:
        """Whether the runtime is complete and the interpreter it was made from is still there."""
        return (self.path(digest) / "slipway.json").exists() and (self.path(digest) / "bin" / "python").exists()

    @contextlib.contextmanager
    def _locked(self, digest: str, *, wait: bool = True) -> Iterator[bool]:
        locks = directory_private(self.layout.runtimes / "locks")
        with (locks / digest).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True

    def _interpreter(self, python: str | None) -> tuple[str, str]:
        """Path and full version of an interpreter of the wanted version: this one, or one that uv finds."""
        own = ".".join(str(part) for part in sys.version_info[:3])
        if python is None or own == python or own.startswith(f"{python}."):
            return interpreter(), own
        result = self._run(["python", "find", "--no-project", "--no-python-downloads", python])
        found = result.stdout.strip()
        if result.returncode or not found:
            raise MachineError(
                f"Python {python} is not installed on this machine (it has {own}). Choose {own.rpartition('.')[0]}, or "
                f"have a platform engineer install Python {python}.",
                code="machine:python-not-found",
                status=422,
            )
        code = "import platform; print(platform.python_version())"
        version = subprocess.run(
            [found, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True, env={}
        )
        return os.path.realpath(found), version.stdout.strip()

    def _build(self, wanted: _Wanted, *, ended: threading.Event | None) -> None:
        """`ended` makes it a build ahead: least urgent, and given up when it is set."""
        building = Path(tempfile.mkdtemp(dir=self.layout.runtimes, prefix=f".building-{wanted.digest}-"))
        text = wanted.text
        try:
            lock = building / "requirements.lock"
            lock.write_text(text, encoding="utf-8")
            target = building / "runtime"
            venv = ["venv", "--relocatable", "--no-project", "--no-config", "--python", wanted.executable, str(target)]
            self._step(venv, text, ended)
            command = ["pip", "sync", "--require-hashes", "--link-mode", "hardlink", "--no-compile-bytecode"]
            command += ["--allow-empty-requirements", "--python", str(target / "bin" / "python"), str(lock)]
            self._step(command, text, ended)
            _lay_over(_site_packages(target), wanted.files)
            bytecode_strip(_site_packages(target))
            bytecode_link(_site_packages(target), compiled_here(self.layout.runtimes, wanted.version))
            self._compile(wanted.executable, _site_packages(target), ended)
            folder = Path(wanted.executable).parent.parent
            prefixes = {os.path.realpath(folder), str(folder)}
            shutil.move(lock, target / "requirements.lock")
            record = {"python": wanted.version, "prefixes": sorted(prefixes), "compiled": COMPILED}
            json_write(target / "slipway.json", record, mode=0o644)
            _readable_for_all(target)
            tree_remove(self.path(wanted.digest))
            os.rename(target, self.path(wanted.digest))
        finally:
            tree_remove(building)

    def _step(self, arguments: list[str], text: str, ended: threading.Event | None) -> None:
        result = self._run(arguments, ended=ended)
        if result.returncode == 0:
            return
        output = [line_masked(line) for line in result.stderr.splitlines() if line.strip()][-30:]
        raise MachineError(
            f"The Python packages could not be installed. {hint_words(result.stderr, text)}".strip(),
            code="machine:runtime-failed",
            status=422,
            log=output,
        )

    def _compile(self, executable: str, folder: Path, ended: threading.Event | None) -> None:
        """Byte code by an interpreter that has not looked into the new packages (`-S`): uv's own way would start the
        new environment's Python, whose start runs what a package put into a .pth file, as the agent's user.

        Ahead by one process: only the first of several would end with an agent that is killed."""
        self._watched([executable, "-I", "-S", *compile_arguments(folder, parallel=not ended)], ended)

    def _run(self, arguments: list[str], *, ended: threading.Event | None = None) -> subprocess.CompletedProcess[str]:
        return self._watched([self.executable(), *arguments], ended)

    def _watched(self, command: list[str], ended: threading.Event | None) -> subprocess.CompletedProcess[str]:
        if ended:
            command = [sys.executable, "-I", "-S", "-c", _LEAST_URGENT, str(os.getpid()), *command]
        deadline = time.monotonic() + BUILD_SECONDS
        with subprocess.Popen(
            command,
            env=self._environment(),
            cwd=self.layout.runtimes,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            umask=0o022,
            process_group=0,
        ) as process:
            while True:
                try:
                    out, err = process.communicate(timeout=1.0)
                except subprocess.TimeoutExpired:
                    late = time.monotonic() > deadline
                    if not late and not (ended and ended.is_set()):
                        continue
                    os.killpg(process.pid, signal.SIGKILL)  # with what it has started
                    process.communicate()
                    raise _given_up(late=late) from None
                return subprocess.CompletedProcess(command, process.returncode, out, err)

    def executable(self) -> str:
        if self._uv:
            return self._uv
        try:
            from uv import find_uv_bin

            return str(find_uv_bin())
        except (ImportError, FileNotFoundError):
            found = shutil.which("uv")
        if not found:
            raise MachineError("uv is not installed, so no Python environment can be built.", code="machine:no-uv")
        return found

    def home(self) -> Path:
        """Where uv finds the configuration of the agent's user."""
        return Path(self._environ.get("HOME", str(self.layout.root)))

    def index_environment(self) -> dict[str, str]:
        """The machine's way to its package index, under uv's names."""
        kept = {
            name: value
            for name, value in self._environ.items()
            if _PASSED.match(name) and not _KEPT_BACK.match(name) and value
        }
        for old, new in _PIP_TO_UV.items():
            if old in kept:
                kept.setdefault(new, kept[old])
        return kept

    def _environment(self) -> dict[str, str]:
        own = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home()), "LANG": "C.UTF-8"}
        own |= {"UV_CACHE_DIR": str(self.layout.root / "cache" / "uv"), "UV_NO_PROGRESS": "1"}
        return {**self.index_environment(), **own}


def _given_up(*, late: bool) -> MachineError:
    detail = f"Installing the Python packages took longer than {BUILD_SECONDS // 60} minutes and was ended."
    return MachineError(
        detail if late else "The machine's agent ended before the Python packages were installed.",
        code="machine:runtime-failed",
        status=422,
    )


def _site_packages(runtime: Path) -> Path:
    return next(runtime.glob("lib/python3.*/site-packages"))


def _lay_over(site_packages: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = site_packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # An installed file is a hard link into uv's cache: never write through it.
        path.write_text(text, encoding="utf-8")


def _readable_for_all(top: Path) -> None:
    """Wheels may carry files only their owner may read; services run as other users."""
    top.chmod(0o755)
    for path, directories, files in os.walk(top):
        for name in [*directories, *files]:
            entry = os.path.join(path, name)
            mode = os.lstat(entry).st_mode
            wanted = 0o555 if mode & 0o040100 else 0o444
            if mode & 0o170000 != 0o120000 and mode & wanted != wanted:
                os.chmod(entry, mode & 0o7777 | wanted)


def line_masked(line: str) -> str:
    """Index addresses may hold a password."""
    return re.sub(r"(?<=://)[^/@\s]+@", "••••••@", line)


def hint_words(output: str, text: str) -> str:
    if "--hash=" not in text and "hash" in output.lower():
        return "The requirements must be locked with hashes ('uv pip compile --generate-hashes')."
    lowered = output.lower()
    if "hash mismatch" in lowered:
        return "A downloaded file is not the one that was locked: lock the requirements again, or check the index."
    if any(word in lowered for word in ("dns", "connect", "network", "timed out", "tcp", "offline")):
        return (
            "The package index could not be reached. Check the machine's network and proxy, or name an index in "
            "UV_DEFAULT_INDEX (a folder of wheels in UV_FIND_LINKS with UV_OFFLINE=1 works without a network)."
        )
    if "no space left" in lowered:
        return "The machine's disk is full."
    return ""
