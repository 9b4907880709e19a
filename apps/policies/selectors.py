"""Reads of the platform team's rules."""

from collections.abc import Collection

from apps.accounts.models import Team
from apps.catalog.models import ModuleVersion
from apps.policies.offer import Offer, offer_plain


def offer_for(*, version: ModuleVersion, team: Team | None, existing: Collection[str] = ()) -> Offer:
    """What `team` is offered of a module version.

    `existing` names the variables that an environment had already: for them a default of the platform team comes too
    late, what it runs with stays.
    """
    return offer_plain(version.parsed())
