"""What apps above variable sets tell of them: which environments work with a set, and when each last did."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from apps.accounts.models import User
    from apps.variable_sets.models import VariableSet


@dataclass(frozen=True)
class Usage:
    """A living environment to which a set applies; `last_ran_at` is when Terraform last began to work for it."""

    environment_id: UUID
    name: str
    team: str
    last_ran_at: datetime | None


UsageCallback = Callable[["VariableSet", "User"], list[Usage]]

_usages: list[UsageCallback] = []


def usage_for(callback: UsageCallback) -> UsageCallback:
    if callback not in _usages:
        _usages.append(callback)
    return callback


def usages_of(variable_set: "VariableSet", user: "User") -> list[Usage]:
    """Environments the person may see, those that ran longest ago first."""
    return [usage for callback in _usages for usage in callback(variable_set, user)]
