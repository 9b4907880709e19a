"""What every step of the bootstrap shares: telling what happens, stamps of what is done, and running commands.

Only the standard library: this runs before anything is installed, under whatever Python the machine has.
"""

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"


class StepFailed(Exception):
    """A step could not be done; the text says why and what would help."""


@contextlib.contextmanager
def step(text):
    """Prints `text ... 1.2 s` around the work, or `text ... failed`."""
    started = time.monotonic()
    print(f"{text} ... ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def digest(*parts):
    """SHA-256 of files (their content) and texts, in order."""
    total = hashlib.sha256()
    for part in parts:
        content = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def stamp_read(path):
    """The content of a stamp; empty where there is none or a killed step left half of one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def stamp_write(path, content):
    """Written last and atomically: a stamp that exists is true."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.write_text(json.dumps(content), encoding="utf-8")
    draft.replace(path)


def run(command, cure="", env=None):
    """Runs a command quietly; when it fails its last lines are shown with the cure."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        tail = "\n".join("    " + line for line in done.stdout.strip().splitlines()[-15:])
        name = Path(str(command[0])).name
        raise StepFailed(f"`{name}` ended with {done.returncode}:\n{tail}\n{cure}".rstrip())
    return done.stdout


def stop(error):
    """Ends the bootstrap with the text of the failure."""
    print(f"\nSlipway cannot go on. {error}", file=sys.stderr, flush=True)
    raise SystemExit(2)
