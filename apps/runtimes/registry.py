"""Where apps above say who uses a Python environment and tell its users; they register in `AppConfig.ready()`."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.runtimes.models import RuntimeVersion


@dataclass(frozen=True)
class Use:
    """Something that runs, or will run again, in a version; `url` is its page."""

    name: str
    url: str
    team: str
    owner: str
    status: str
    version_id: UUID


@dataclass(frozen=True)
class Uses:
    """How many use some versions in all, and the first of them that the person who asks may see."""

    total: int
    shown: list[Use]


UsesCallback = Callable[[Collection[UUID], "User"], Uses]
CountCallback = Callable[[Collection[UUID]], dict[UUID, int]]
DeprecatedCallback = Callable[["RuntimeVersion"], None]

uses_callbacks: list[UsesCallback] = []
count_callbacks: list[CountCallback] = []
deprecated_callbacks: list[DeprecatedCallback] = []


def register_users(*, uses: UsesCallback, count: CountCallback, on_deprecated: DeprecatedCallback) -> None:
    """`uses` lists what uses any of some versions, `count` says how many use each, `on_deprecated` tells owners.

    `on_deprecated` runs inside the transaction of the write.
    """
    if uses not in uses_callbacks:
        uses_callbacks.append(uses)
        count_callbacks.append(count)
        deprecated_callbacks.append(on_deprecated)


def uses_of(version_ids: Collection[UUID], user: "User") -> Uses:
    found = [callback(version_ids, user) for callback in uses_callbacks]
    return Uses(sum(one.total for one in found), [use for one in found for use in one.shown])


def counts_of(version_ids: Collection[UUID]) -> dict[UUID, int]:
    counts: dict[UUID, int] = {}
    for callback in count_callbacks:
        for key, number in callback(version_ids).items():
            counts[key] = counts.get(key, 0) + number
    return counts
