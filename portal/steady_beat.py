"""Celery beat that survives a clock that is moved.

Beat plans by the wall clock: set back by an hour (a virtual machine resumed, a wrong time corrected) it would send
nothing for that hour, and nothing would stop at its time. What ran "in the future" is therefore taken as run just now.
"""

from typing import Any

from celery.beat import PersistentScheduler

# Less is the clock being adjusted, and a tick that took its time.
JUMP_S = 2.0


class SteadyScheduler(PersistentScheduler):
    """Celery's own scheduler, which looks before each tick whether its plan is of another time."""

    def tick(self, *args: Any, **kwargs: Any) -> float:
        self.follow_clock()
        return float(super().tick(*args, **kwargs))

    def follow_clock(self) -> None:
        for entry in self.schedule.values():
            ahead = entry.last_run_at - entry.default_now()
            if ahead.total_seconds() > JUMP_S:
                entry.last_run_at = entry.default_now()
                self._heap = None
