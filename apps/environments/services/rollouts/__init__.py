"""Rollouts: many environments of a module moved to one version, wave by wave.

Rows are the truth. `rollout_advance` does what can be done now and may run twice, late, or on two workers at once:
every step locks the rollout's row and moves one item by a conditional update. Locks are taken in the order rollout,
item, environment; what hears of changes (holding a change and an environment) only wakes a worker.
"""

from apps.environments.services.rollouts.deciding import (
    rollout_continue,
    rollout_give,
    rollout_skip,
    rollout_stop,
)
from apps.environments.services.rollouts.driving import rollout_advance
from apps.environments.services.rollouts.starting import Candidate, Verdict, rollout_look, rollout_start

__all__ = [
    "Candidate",
    "Verdict",
    "rollout_advance",
    "rollout_continue",
    "rollout_give",
    "rollout_look",
    "rollout_skip",
    "rollout_start",
    "rollout_stop",
]
