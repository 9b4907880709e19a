"""The virtual environment: made by the standard library, filled by the locked uv from the locked requirements.

Nothing is resolved here. `requirements.lock` (running) and `requirements-dev.lock` (running and tests) name every
package with its hashes; the index is whatever pip or uv are configured to use on this machine.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from steps import PYTHON, ROOT, VENV, StepFailed, digest, run, stamp_read, stamp_write, step

STAMP = VENV / "slipway.json"
LOCKS = {"run": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}
INDEX_HELP = "Is the package index reachable? Set PIP_INDEX_URL or UV_DEFAULT_INDEX where you use a mirror."


def packages_ensure(wanted):
    """Makes `.venv` hold exactly the lock `wanted` (run or dev); once dev is installed it stays dev."""
    stamp = stamp_read(STAMP)
    if stamp.get("level") == "dev":
        wanted = "dev"
    identity = digest(str(VENV), ".".join(map(str, sys.version_info[:2])), LOCKS[wanted])
    if stamp.get("identity") == identity and PYTHON.exists():
        return
    if not _environment_usable(stamp):
        with step("Creating .venv"):
            _environment_create()
    with step("Installing Python packages"):
        _install(LOCKS[wanted])
    stamp_write(STAMP, {"level": wanted, "identity": identity, "home": str(VENV)})


def tools_ensure():
    """The environment of the security scanners, apart from ours; returns its folder."""
    folder, lock = VENV / "tools" / "security", ROOT / "requirements-security.lock"
    identity = digest(str(folder), lock)
    if stamp_read(folder / "slipway.json").get("identity") == identity:
        return folder
    uv = VENV / "bin" / "uv"
    shutil.rmtree(folder, ignore_errors=True)
    run([uv, "venv", "--quiet", "--no-project", "--python", PYTHON, folder])
    command = [uv, "pip", "sync", "--quiet", "--no-config", "--python", folder / "bin" / "python"]
    command += ["--require-hashes", "--index-strategy", "unsafe-best-match", lock]
    for number, environ in enumerate(attempts := _index_attempts(), 1):
        try:
            run(command, INDEX_HELP, env=environ)
            break
        except StepFailed:
            if number == len(attempts):
                raise
    stamp_write(folder / "slipway.json", {"identity": identity})
    return folder


def _environment_usable(stamp):
    """Whether there is a working environment, made at this very path (its scripts name it) by this Python version."""
    if not PYTHON.exists() or stamp.get("home", str(VENV)) != str(VENV):
        return False
    probe = "import sys; print(sys.prefix, *sys.version_info[:2])"
    try:
        shown = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return shown.stdout.strip() == f"{VENV} {sys.version_info[0]} {sys.version_info[1]}"


def _environment_create():
    shutil.rmtree(VENV, ignore_errors=True)
    uv = _uv_on_path()
    if uv:
        run([uv, "venv", "--quiet", "--no-project", "--python", sys.executable, VENV])
        return
    try:
        run([sys.executable, "-m", "venv", VENV])
    except StepFailed:
        # Debian ships venv without pip unless python3-venv is installed; a pip of the machine can stand in for it.
        shutil.rmtree(VENV, ignore_errors=True)
        if not _works([sys.executable, "-m", "pip", "--version"]):
            raise StepFailed(
                "Python's venv module is incomplete: install it (Debian and Ubuntu: `apt-get install python3-venv`)."
            ) from None
        run([sys.executable, "-m", "venv", "--without-pip", VENV])


def _install(lock):
    uv = VENV / "bin" / "uv"
    if not _works([uv, "--version"]):
        uv = _uv_on_path() or _uv_install(lock)
    command = [uv, "pip", "sync", "--quiet", "--no-config", "--python", PYTHON, "--require-hashes"]
    # Every file is pinned by hash, so it does not matter which of several indexes offers it.
    command += ["--index-strategy", "unsafe-best-match", lock]
    for environ in _index_attempts():
        try:
            run(command, env=environ)
            return
        except StepFailed as error:
            problem = error
    if not _works([PYTHON, "-m", "pip", "--version"]):
        raise StepFailed(f"{problem}\n{INDEX_HELP}")
    print("uv could not, trying pip (slower) ... ", end="", flush=True)
    run([PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", lock], INDEX_HELP)


def _uv_install(lock):
    """The uv of the lock, by pip, with its hashes."""
    pip = [PYTHON, "-m", "pip"]
    if not _works([*pip, "--version"]):
        pip = [sys.executable, "-m", "pip", "--python", PYTHON]
    requirement_install(pip, lock, "uv")
    return VENV / "bin" / "uv"


def requirement_install(pip, lock, name, target=None):
    """Installs the one package `name` as the lock pins it, without its dependencies."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write(requirement_of(lock, name))
        file.flush()
        where = ["--target", target] if target else []
        run([*pip, "install", "--quiet", "--no-deps", "--require-hashes", *where, "-r", file.name], INDEX_HELP)


def requirement_of(lock, name):
    """The lines of one package in a lock: its version and its hashes."""
    found = re.search(rf"^{re.escape(name)}==.*(?:\n    .*)*", lock.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise StepFailed(f"{lock.name} does not name {name}; make it again with `make lock`.")
    return found.group() + "\n"


def _index_attempts():
    """Environments for uv, likeliest first. uv does not read pip's configuration, so a mirror named only there is
    handed on: first where it stands in for PyPI, after uv's own way where it only adds to it."""
    if any(os.environ.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX")):
        return [{}]
    if not _works([PYTHON, "-m", "pip", "--version"]):
        return [{}]
    listed = subprocess.run([PYTHON, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        found[key.rsplit(".", 1)[-1]] = value.strip("'\"").replace("\\n", " ")
    of_pip = {}
    if found.get("index-url"):
        of_pip["UV_DEFAULT_INDEX"] = found["index-url"]
    if found.get("extra-index-url"):
        of_pip["UV_INDEX"] = found["extra-index-url"]
    if not of_pip:
        return [{}]
    return [of_pip, {}] if "UV_DEFAULT_INDEX" in of_pip else [{}, of_pip]


def _uv_on_path():
    """A uv of the machine that is new enough for the options used here."""
    uv = shutil.which("uv")
    if not uv:
        return None
    try:
        shown = subprocess.run([uv, "--version"], capture_output=True, text=True, timeout=20).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)", shown)
    return uv if found and tuple(map(int, found.groups())) >= (0, 5) else None


def _works(command):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def lock_make():
    """Resolves pyproject.toml anew and writes the locks, without naming the index they came from."""
    uv = VENV / "bin" / "uv"
    for lock, sources in (
        (LOCKS["run"], ["pyproject.toml"]),
        (LOCKS["dev"], ["pyproject.toml", "--group", "dev", "-c", LOCKS["run"].name]),
        (ROOT / "requirements-security.lock", ["--group", "security"]),
    ):
        with step(f"Resolving {lock.name}"):
            run(
                [uv, "pip", "compile", "--quiet", "--no-config", "--upgrade", "--universal", "--generate-hashes"]
                + ["--python-version", "3.11", "--no-header", "--no-emit-index-url", "--no-emit-find-links"]
                + [*sources, "-o", lock],
                INDEX_HELP,
                env=_index_attempts()[0],
            )
