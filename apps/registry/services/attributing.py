"""Which of the differences that the sentinel finds were made through `/mlflow/`, and by whom.

Better unknown than wrong: a person is named only where the calls known of lead from where an alias was to where it is,
and none of them overlapped with a call of somebody else.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from apps.experiments.model_writes import Does, ModelWrite, Outcome


@dataclass(frozen=True)
class Step:
    """One move of an alias, and the call that made it; without one nobody knows who did."""

    from_version: int | None
    to_version: int | None
    write: ModelWrite | None = None


@dataclass
class Explained:
    """`waits` where a call that would explain it is still under way; `used` are the calls that explained something."""

    steps: list[Step] = field(default_factory=list)
    waits: bool = False
    used: set[str] = field(default_factory=set)


def answered(writes: Collection[ModelWrite]) -> frozenset[str]:
    """Keys of those that MLflow had answered when they were read."""
    return frozenset(write.key for write in writes if write.outcome is not Outcome.UNDER_WAY)


def concerns(write: ModelWrite, alias: str) -> bool:
    return write.does is not Does.ALIAS or write.alias == alias


def since_it_is_there(writes: list[ModelWrite]) -> list[ModelWrite]:
    """Without what was done to an earlier model of this name, which was deleted or renamed."""
    ends = [write.ended for write in writes if write.does is Does.MODEL and write.outcome is Outcome.MADE]
    last = max((end for end in ends if end is not None), default=-1)
    return [write for write in writes if write.begun > last]


def explain(
    alias: str, *, at: int | None, now: int | None, writes: Collection[ModelWrite], seen: Collection[str]
) -> Explained:
    """How an alias came from where it was known to be (`at`) to where MLflow says it is.

    `seen` are keys of calls that had been answered before MLflow was asked: what they did is in `now`. Of later ones it
    may be or not, so these may follow after what explains it.

    1. Walk along the calls in the order of their answers. 2. Take as many as lead to `now`. 3. Believe them where no
    call that `now` must show is left over and nobody else's overlapped.
    """
    about = [write for write in writes if concerns(write, alias) and write.outcome is not Outcome.REFUSED]
    made = sorted((write for write in about if write.outcome is Outcome.MADE), key=lambda write: write.ended or 0)
    place, steps, taken, count = at, [], 0 if at == now else None, 0
    for number, write in enumerate(made, start=1):
        goes_to = _goes_to(write, place)
        if goes_to != place:
            steps.append(Step(place, goes_to, write))
            place = goes_to
        if place == now:
            taken, count = number, len(steps)
    if taken is not None:
        used, left = made[:taken], made[taken:]
        if not any(write.key in seen for write in left) and not _overlap(used, about):
            return Explained(steps[:count], used={write.key for write in used})
    if at == now:
        return Explained()
    under_way = (write for write in about if write.outcome is Outcome.UNDER_WAY)
    if any(_goes_to(write, at) == now for write in under_way):
        return Explained(waits=True)
    return Explained([Step(at, now)])


def _goes_to(write: ModelWrite, at: int | None) -> int | None:
    if write.does is Does.ALIAS:
        return write.version
    return None if write.does is Does.MODEL or write.version == at else at


def _overlap(used: list[ModelWrite], about: list[ModelWrite]) -> bool:
    """Whether a call of somebody else was under way at the same time, so that nobody knows which came first."""
    return any(
        one.user != other.user and other.begun < (one.ended or 0) and (other.ended is None or one.begun < other.ended)
        for one in used
        for other in about
    )
