"""What may be taken over, and by whom."""

from collections.abc import Iterable
from typing import Any

from apps.accounts.models import User
from apps.catalog.interface.model import ModuleInterface
from apps.environments.exceptions import LaunchInvalid
from apps.provisioning.imports import MOST, Import


def may_take_over(user: User, interface: ModuleInterface) -> bool:
    """Platform engineers anything; others what the module lets its owners take over (`takeover` in module.yaml)."""
    return user.is_active and (user.is_platform_engineer or bool(interface.takeover))


def imports_check(*, interface: ModuleInterface, actor: User, imports: Iterable[Import]) -> list[Import]:
    """The rows as they may be written. Raises `LaunchInvalid`, errors as `imports.<number from 0>.<to or id>`."""
    rows = [Import(wanted.to.strip(), wanted.id.strip()) for wanted in imports]
    if len(rows) > MOST:
        raise LaunchInvalid(errors={"imports": [f"At most {MOST} at once."]})
    errors: dict[str, list[str]] = {}
    known: set[str] = set()
    for number, row in enumerate(rows):
        for name, message in row.problems.items():
            errors[f"imports.{number}.{name}"] = [message]
        if row.to in known:
            errors.setdefault(f"imports.{number}.to", ["This address is there twice."])
        known.add(row.to)
        allowed = actor.is_platform_engineer or {row.to, row.to.partition("[")[0]} & interface.takeover.keys()
        if not allowed and f"imports.{number}.to" not in errors:
            errors[f"imports.{number}.to"] = [_not_allowed(interface)]
    if errors:
        raise LaunchInvalid(errors=errors)
    return rows


def _not_allowed(interface: ModuleInterface) -> str:
    if not interface.takeover:
        return "Only a platform engineer can take something over with this module."
    return (
        f"This module lets you take over: {', '.join(sorted(interface.takeover))}. Ask a platform engineer for others."
    )


def imports_told(imports: Iterable[Import]) -> dict[str, Any]:
    """For the audit log."""
    told = [f"{row.to} = {row.id}" for row in imports]
    return {"imports": told} if told else {}
