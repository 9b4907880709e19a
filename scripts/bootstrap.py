"""From a checkout to a running portal or a test run: `python scripts/bootstrap.py up|test|lint|...`, see the Makefile.

The Makefile calls this with the machine's Python; nothing but the standard library, git and make is assumed. Each step
is skipped when its stamp says that it is done, so running it again costs next to nothing.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile

if sys.version_info < (3, 11):  # noqa: UP036 - this file is the one that an older Python may meet
    import shutil

    for name in ("python3.13", "python3.12", "python3.11", "python3.14"):
        if shutil.which(name):
            os.execvp(name, [name, *sys.argv])
    sys.exit("Slipway needs Python 3.11 or newer; name one: `make up PYTHON=/path/to/python3.12`.")

from assets import assets_ensure
from browser import browser_ensure
from packages import lock_make, packages_ensure
from security import security_check
from steps import PYTHON, ROOT, VENV, StepFailed, step, stop

LINT = (
    ("ruff check", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("import layers", ["lint-imports"]),
    ("templates", ["djlint", "--quiet", "--check", "--lint", "templates"]),
)
TYPES = ["mypy"]


def bootstrap(level):
    """Packages and assets; two at the same time wait for each other."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another make in this directory ...", flush=True)
            fcntl.flock(folder, fcntl.LOCK_EX)
        packages_ensure(level)
        assets_ensure()
    finally:
        os.close(folder)


def replace_process(*command):
    """Becomes the command, so that signals reach it and nothing waits in between."""
    environ = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    os.chdir(ROOT)
    os.execve(str(command[0]), [str(part) for part in command], environ)


def up():
    bootstrap("run")
    replace_process(PYTHON, ROOT / "manage.py", "up")


def lint():
    bootstrap("dev")
    return _lint()


def _lint():
    """Every linter, also after one has failed; their findings are printed. Returns how many failed."""
    # One core has enough to do with the types for half a minute: the other one sees to the rest meanwhile.
    with _linter(TYPES) as types:
        failed = sum(_told(title, _linter(command)) for title, command in LINT)
        return failed + security_check() + _told("types", types)


def _linter(command):
    return subprocess.Popen(
        [str(VENV / "bin" / command[0]), *command[1:]],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _told(title, linter):
    """Waits for a linter; whether it failed."""
    try:
        with step(f"Checking {title}"):
            output, _ = linter.communicate()
            if linter.returncode:
                raise StepFailed(output)
    except StepFailed as error:
        print(error, flush=True)
        return True
    return False


def test(arguments, *, matrix):
    """Lint, then the suite with the browser journeys; with `matrix` also every case of the long matrices."""
    bootstrap("dev")
    os.environ["CHROMIUM"] = browser_ensure()
    failed = _lint()
    # The browser journeys run by themselves: Playwright keeps an event loop running in its process, in which asyncio
    # tests cannot run. Each of the two processes has a portal of its own, and whole files, whose fixtures are costly,
    # in the order of tests/durations.py.
    short = "" if matrix else " and not matrix"
    shared = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    parts = [[*shared, "-m", f"{which}{short}"] for which in ("not e2e", "e2e")]
    if arguments:
        codes = [_pytest(arguments)]
    else:
        with tempfile.TemporaryDirectory(prefix="slipway-prepared-", ignore_cleanup_errors=True) as prepared:
            codes = [_pytest(part, SLIPWAY_TEST_PREPARED=prepared) for part in parts]
    if failed:
        print(f"{failed} of {len(LINT) + 2} lint checks failed, see above.", flush=True)
    return next(filter(None, codes), failed)


def _pytest(arguments, **environ):
    command = [PYTHON, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environ, stdin=subprocess.DEVNULL).returncode


def bench(arguments):
    """The measurements behind docs/reference/performance.md."""
    bootstrap("dev")
    os.environ["CHROMIUM"] = browser_ensure()
    replace_process(PYTHON, "-m", "bench", *arguments)


def clean():
    """Ends what runs from this directory and removes everything that can be made again, and the data."""
    if PYTHON.exists():
        subprocess.run([PYTHON, "-m", "portal.up.stop"], cwd=ROOT, check=True)
    with step("Removing .venv, .slipway and installed assets"):
        for name in (".slipway", ".venv", "node_modules", "static/vendor"):
            shutil.rmtree(ROOT / name, ignore_errors=True)


def main(command, *arguments):
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if command == "up":
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            up()
        elif command == "install":
            bootstrap("run")
        elif command == "lint":
            return lint()
        elif command in ("test", "test-all"):
            return test(list(arguments), matrix=command == "test-all")
        elif command == "bench":
            bench(list(arguments))
        elif command == "lock":
            bootstrap("dev")
            lock_make()
        elif command == "clean":
            clean()
        else:
            sys.exit("usage: bootstrap.py up|install|test|test-all|bench|lint|lock|clean")
    except StepFailed as error:
        stop(error)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["help"])))
