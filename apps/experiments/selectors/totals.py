"""How many runs a list without a filter has, kept while no run comes or goes: 100,000 take 15 ms to count.

What is kept carries the generation that it was counted in, and holds no longer than that. The writers of the index
begin a new one once their transaction has ended, so nobody counts before it and keeps it behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from uuid import uuid4

from django.core.cache import cache
from django.db import transaction

LARGE = 20_000  # less is counted faster than it is looked up
KEPT_SECONDS = 60
GENERATION = "experiments:generation"


@dataclass(frozen=True)
class Total:
    """`kept` is None where it has to be counted; `name` is "" where it is not to be kept either."""

    name: str
    generation: str
    kept: int | None

    def settled(self, counted: int | None) -> int | None:
        """The total, whether it was kept or had to be counted now."""
        if self.kept is not None:
            return self.kept
        if self.name and counted is not None and counted >= LARGE:
            cache.set(self.name, (self.generation, counted), KEPT_SECONDS)
        return counted


COUNTED = Total("", "", None)


def total_of(experiment_ids: Sequence[str] | None, *, archived: bool) -> Total:
    """Of all runs of these experiments, None for every experiment."""
    of = "*" if experiment_ids is None else ",".join(sorted(experiment_ids))
    name = f"experiments:total:{blake2b(f'{of} {archived}'.encode(), digest_size=16).hexdigest()}"
    found = cache.get_many([GENERATION, name])
    generation = found.get(GENERATION) or cache.get_or_set(GENERATION, _another, None)
    kept_in, kept = found.get(name, ("", None))
    return Total(name, str(generation), kept if kept_in == generation else None)


def totals_change() -> None:
    """For whoever adds, archives, restores or removes runs, in the transaction that does."""
    transaction.on_commit(partial(cache.set, GENERATION, _another(), None))


def _another() -> str:
    return uuid4().hex
