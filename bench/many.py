"""Twenty launches at once against the same twenty through `xargs -P` by hand."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bench.bare import BareMachine, bare_machine
from bench.figures import Figure, percentile

if TYPE_CHECKING:
    from bench.session import Session

LAUNCHES = 20


def measure(session: Session) -> list[Figure]:
    count = 3 if session.quick else LAUNCHES
    last, p95 = _ours(session, count)
    with bare_machine(session.folder_new(), runtimes_from=session.portal.data / "agent") as machine:
        bare = _by_hand(machine, count)
    session.say(f"ours {last:.1f} s, by hand {bare:.1f} s")
    beside = f"`xargs -P {count}` by hand"
    return [
        Figure("many", f"{count} launches at once, until the last is ready", last, "s", bare, beside),
        Figure("many", f"{count} launches at once, p95 of click to ready", p95, "s"),
    ]  # fmt: skip


def _ours(session: Session, count: int) -> tuple[float, float]:
    """Seconds until the last ran, and the 95th percentile."""
    portal, token = session.portal, session.token("dana")
    names = [f"many-{number}" for number in range(count)]
    started = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        keys = list(pool.map(lambda name: portal.launch(token, name), names))
    session.say(f"asked for after {time.monotonic() - started:.2f} s")
    ready = portal.wait(keys, "running", 300)
    for key, name in zip(keys, names, strict=True):
        portal.destroy(token, key, name)
    portal.wait(keys, "destroyed", 300)
    times = [at - started for at in ready.values()]
    return max(times), percentile(times, 0.95)


def _by_hand(machine: BareMachine, count: int) -> float:
    workspaces = [machine.workspace() for _ in range(count)]
    for workspace in workspaces:
        words = [f"export {name}='{value}'" for name, value in workspace.environ().items()]
        (workspace.work / "launch.sh").write_text("\n".join([*words, workspace.shell_words()]) + "\n")
    folders = "\n".join(str(workspace.work) for workspace in workspaces)
    started = time.monotonic()
    done = subprocess.run(
        ["xargs", "-P", str(count), "-I", "{}", "sh", "-c", "cd {} && sh ./launch.sh"],
        input=folders, text=True, env={"PATH": os.environ["PATH"]}, capture_output=True,
    )  # fmt: skip
    taken = time.monotonic() - started
    for workspace in workspaces:
        workspace.destroy()
    if done.returncode:
        raise RuntimeError(f"a launch by hand failed: {done.stderr[-1000:]}")
    return taken
