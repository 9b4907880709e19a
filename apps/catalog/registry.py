"""Where apps above the catalog tell it of environments, without the catalog knowing them. Registered in `ready()`."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.catalog.models import Module, ModuleVersion

StateCallback = Callable[["ModuleVersion", "User | None", str], None]
UsageCallback = Callable[["User", Sequence[UUID]], dict[UUID, int]]
NeedsCallback = Callable[["User", Sequence["Module"]], dict[UUID, str]]

state_callbacks: list[StateCallback] = []
usage_callbacks: list[UsageCallback] = []
needs_callbacks: list[NeedsCallback] = []


def on_version_state(callback: StateCallback) -> StateCallback:
    """Called with a version that was published, deprecated, revoked or brought back, by whom and why, inside the
    transaction of the write."""
    if callback not in state_callbacks:
        state_callbacks.append(callback)
    return callback


def version_usage(callback: UsageCallback) -> UsageCallback:
    """Answers for some versions how many living things that the person may see were made from each."""
    if callback not in usage_callbacks:
        usage_callbacks.append(callback)
    return callback


def usage_of(user: "User", versions: Sequence[UUID]) -> dict[UUID, int]:
    found: dict[UUID, int] = {}
    for callback in usage_callbacks:
        for key, count in callback(user, versions).items():
            found[key] = found.get(key, 0) + count
    return found


def module_needs(callback: NeedsCallback) -> NeedsCallback:
    """Answers for some modules what the person lacks to launch them, in three words: "Needs AWS credentials"."""
    if callback not in needs_callbacks:
        needs_callbacks.append(callback)
    return callback


def needs_of(user: "User", modules: Sequence["Module"]) -> dict[UUID, str]:
    found: dict[UUID, str] = {}
    for callback in needs_callbacks:
        found |= callback(user, modules)
    return found
