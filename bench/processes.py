"""Starting processes for a measurement and ending every one of them, whatever happens meanwhile."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def environ_plain() -> dict[str, str]:
    """The machine's environment without what would lead to somebody's own portal, services or keys."""
    own = {"DJANGO_SETTINGS_MODULE", "SECRET_KEY", "SLIPWAY_KEYS", "SLIPWAY_DATA", "PORT", "DEMO"}
    return {name: value for name, value in os.environ.items() if not name.endswith("_URL") and name not in own} | {
        name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if name in os.environ
    }


def port_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    command: list[str], *, environ: dict[str, str], log: Path, folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; SIGTERM at the end, SIGKILL for its session where that is not enough."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield process
    finally:
        process_end(process)


def process_end(process: subprocess.Popen[bytes], *, seconds: float = 90) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        print(f"  process {process.pid} did not end within {seconds:.0f} s and is killed", flush=True)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: object, seconds: float, what: str, pause: float = 0.02) -> float:
    """Seconds until `condition()` was true; raises TimeoutError that names `what`."""
    started = time.monotonic()
    while not condition():  # type: ignore[operator]
        if time.monotonic() - started > seconds:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(pause)
    return time.monotonic() - started
