"""`make up`: from the command to a usable page, the first time into an empty folder and then again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.figures import Figure, limited, median
from bench.portal import portal_ready, portal_running
from bench.processes import port_free, wait_until

if TYPE_CHECKING:
    from bench.session import Session

LATER_S = 10.0


def measure(session: Session) -> list[Figure]:
    session.portal_end()
    first_page, first_ready = _start(session, wait_for_people=True)
    later = [_start(session) for _ in range(1 if session.quick else 3)]
    page, ready = median([page for page, _ in later]), median([ready for _, ready in later])
    session.say(f"first page {first_page:.1f} s, all ready {first_ready:.1f} s; later {page:.1f} s and {ready:.1f} s")
    return [
        Figure("up", "First `make up` into an empty folder, to a usable page", first_page, "s"),
        Figure("up", "… until everything answers (`/readyz`)", first_ready, "s"),
        limited("up", "Later `make up` to a usable page", page, "s", LATER_S),
        Figure("up", "… until everything answers (`/readyz`)", ready, "s"),
    ]  # fmt: skip


def _start(session: Session, *, wait_for_people: bool = False) -> tuple[float, float]:
    """Seconds to the page and to everything."""
    with portal_running(session.data, port_free(), session.log) as portal:
        page = time.monotonic() - portal.started_at
        wait_until(lambda: portal_ready(portal.port), 120, "a portal whose parts all answer", 0.1)
        ready = time.monotonic() - portal.started_at
        if wait_for_people:
            wait_until((session.data / "password").exists, 120, "the demo people", 0.2)
            token = portal.token("dana")
            there = "/api/v1/modules/local-notebook/"
            wait_until(lambda: portal.call("GET", there, token)[0] == 200, 120, "the module", 0.2)
        return page, ready
