"""Writing input policies: what holds for a module's variables, for everybody or for one team."""

from typing import Any

from django.db import transaction

from apps.accounts.models import Team, User
from apps.audit.services import audit_record
from apps.catalog.interface import ModuleInterface
from apps.catalog.models import Module, ModuleVersion
from apps.policies.exceptions import InputPolicyInvalid
from apps.policies.models import InputPolicy
from apps.policies.permissions import PolicyPermission, require
from apps.policies.rules import Rules, rules_problems


def interface_of(module: Module) -> ModuleInterface:
    """What rules of a module are held against: its newest published version. Raises `InputPolicyInvalid`."""
    latest = module.latest_version_id
    version = ModuleVersion.objects.filter(pk=latest).only("interface").first() if latest else None
    if version is None:
        raise InputPolicyInvalid(errors={"module": [f"{module.title} has no published version yet."]})
    found: ModuleInterface = version.parsed()
    return found


@transaction.atomic
def input_policy_set(*, actor: User, module: Module, team: Team | None, rules: Any) -> InputPolicy | None:
    """What holds from now on; without rules the policy goes. Raises `InputPolicyInvalid` naming the variables.

    Environments that exist keep what they have until their next change.
    """
    require(actor, PolicyPermission.WRITE)
    locked = Module.objects.select_for_update(of=("self",), no_key=True).get(pk=module.pk)
    row = InputPolicy.objects.filter(module=locked, team=team).first()
    before: Rules = row.rules if row else {}
    _check(interface_of(locked), rules, before)
    if rules == before:
        return row
    row = row or InputPolicy(module=locked, team=team)
    row.rules, row.updated_by = rules, actor
    changed = sorted({*before, *rules} - {name for name in before if rules.get(name) == before[name]})
    if rules:
        row.save()
    audit_record(
        action=f"policies:input-policy:{'changed' if rules else 'removed'}",
        actor=actor,
        target=row,
        team_id=team.pk if team else None,
        before={name: before.get(name) for name in changed},
        after={name: rules.get(name) for name in changed},
    )
    if not rules:
        row.delete()
        return None
    return row


def _check(interface: ModuleInterface, rules: Any, before: Rules) -> None:
    """A rule that is there already and that a newer version cannot keep may stay: it is ignored, and flagged."""
    problems = rules_problems(interface, rules)
    if isinstance(rules, dict):
        problems = {name: told for name, told in problems.items() if name not in before or rules[name] != before[name]}
    if problems:
        raise InputPolicyInvalid(errors={f"rules.{name}" if name else "rules": told for name, told in problems.items()})
