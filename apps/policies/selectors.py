"""Reads of the platform team's rules."""

from collections.abc import Collection
from typing import Any

from apps.accounts.models import Team
from apps.catalog.models import ModuleVersion
from apps.policies.models import InputPolicy
from apps.policies.offer import Offer, offer_make
from apps.policies.rules import Rules
from apps.variable_sets.selectors import terraform_names_for


def offer_for(*, version: ModuleVersion, team: Team | None, existing: Collection[str] = ()) -> Offer:
    """What `team` is offered of a module version.

    `existing` names the variables that an environment had already: for them a default of the platform team comes too
    late, what it runs with stays.
    """
    module = version.module
    return offer_make(
        version.parsed(),
        rules_for(module_id=module.pk, team=team),
        sets=terraform_names_for(team=team, target=module.target, module_slug=module.slug),
        existing=existing,
    )


def rules_for(*, module_id: Any, team: Team | None) -> Rules:
    """The rules that hold for a team: of each variable its own, else everybody's."""
    rows = list(InputPolicy.objects.applying_to(module_id=module_id, team_id=team.pk if team else None))
    found: Rules = {}
    for row in sorted(rows, key=lambda row: row.team_id is not None):
        found |= row.rules
    return found
