"""Click to ready: a launch through the API against the same four commands by hand, in turn."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.bare import bare_machine, jupyterlab_start, runtime_newest
from bench.figures import Figure, median, percentile

if TYPE_CHECKING:
    from bench.session import Session

ALLOWED_RATIO, ALLOWED_MORE_S = 1.15, 0.5


def measure(session: Session) -> list[Figure]:
    portal = session.portal
    token = session.token("dana")
    agent = portal.data / "agent"
    ours: list[float] = []
    bare: list[float] = []
    starts: list[float] = []
    commands: list[dict[str, float]] = []
    with bare_machine(session.folder_new(), runtimes_from=agent) as machine:
        # One of each unmeasured: the first touches files that the later ones find in memory.
        for turn in range(-1, 1 if session.quick else 7):
            seconds = click(session, token, f"click-{turn + 1}")
            workspace = machine.workspace()
            taken = workspace.launch()
            workspace.destroy()
            alone = jupyterlab_start(session.folder_new(), runtime_newest(agent))
            if turn >= 0:
                ours.append(seconds)
                bare.append(sum(taken.values()))
                starts.append(alone)
                commands.append(taken)
                session.say(f"ours {seconds:.2f} s, by hand {bare[-1]:.2f} s, JupyterLab alone {alone:.2f} s")
    for name in ("init", "plan", "show", "apply"):
        session.say(f"by hand {name}: {median([taken[name] for taken in commands]):.2f} s")
    return _figures(ours, bare, starts)


def click(session: Session, token: str, name: str) -> float:
    started = time.monotonic()
    key = session.portal.launch(token, name)
    ready = session.portal.wait([key], "running")[key] - started
    session.steps_tell(key)
    session.portal.destroy(token, key, name)
    session.portal.wait([key], "destroyed")
    return ready


def _figures(ours: list[float], bare: list[float], starts: list[float]) -> list[Figure]:
    limit = ALLOWED_RATIO * median(bare) + ALLOWED_MORE_S
    beside = "init, plan, show, apply by hand; apply ends with JupyterLab's first answer"
    return [
        Figure(
            "click", "Click to ready, a notebook, median", median(ours), "s", median(bare), beside,
            f"at most {ALLOWED_RATIO} × bare + {ALLOWED_MORE_S} s", median(ours) <= limit,
        ),
        Figure("click", "Click to ready, p95", percentile(ours, 0.95), "s", percentile(bare, 0.95), "the same"),
        Figure("click", "Click to ready", median(ours), "s", median(starts), "JupyterLab's own start, nothing else"),
    ]  # fmt: skip
