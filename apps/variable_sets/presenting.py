"""What pages and the API show of variables and of the environments they are for: everything but values."""

from typing import Any

from apps.accounts.models import User
from apps.variable_sets.models import SetVariable, VariableSet
from apps.variable_sets.permissions import managed_team_ids, may_write
from apps.variable_sets.registry import usages_of
from apps.variable_sets.selectors import value_of

LONGEST_SHOWN = 200


def variable_rows(variables: list[SetVariable], user: User) -> list[dict[str, Any]]:
    """`shown` is the value where it may be read, None otherwise; `title` says why not."""
    managed = managed_team_ids(user) if variables and not user.is_platform_engineer else frozenset()
    return [
        {
            "variable": row,
            "shown": _shown(row) if not row.sensitive and may_write(user, row.set, managed) else None,
            "as": _given_words(row),
        }
        for row in variables
    ]


def _shown(row: SetVariable) -> str:
    text = str(value_of(row))
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _given_words(row: SetVariable) -> str:
    if row.kind == SetVariable.Kind.FILE:
        return f"File, named by {row.environment_variable}"
    return row.get_kind_display()


def usage_rows(variable_set: VariableSet, variables: list[SetVariable], user: User) -> list[dict[str, Any]]:
    """The environments a set is for, and which of its variables were set after each last ran."""
    return [
        {
            "usage": usage,
            "newer": sorted(row.name for row in variables if usage.last_ran_at and row.updated_at > usage.last_ran_at),
        }
        for usage in usages_of(variable_set, user)
    ]
