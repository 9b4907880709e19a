"""Writing policies: a text is stored as a version that never changes, and one version at most is in force."""

import re
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from apps.accounts.models import Team, User
from apps.audit.services import audit_record
from apps.catalog.interface.manifest import TARGETS
from apps.catalog.models import Module
from apps.policies.exceptions import PolicyChanged, PolicyInvalid
from apps.policies.models import Policy, PolicyVersion
from apps.policies.permissions import PolicyPermission, require
from apps.policies.rego_check import rego_problems

# Addresses of the pages of policies.
TAKEN = frozenset({"new", "inputs"})
SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
S = Policy.Scope


@dataclass(frozen=True)
class Scope:
    """What a policy speaks of; one of the three at most, or everything."""

    team: Team | None = None
    module: Module | None = None
    target: str = ""

    @property
    def fields(self) -> dict[str, Any]:
        """Raises `PolicyInvalid` where several are named."""
        named = [name for name in ("team", "module", "target") if getattr(self, name)]
        if len(named) > 1:
            raise PolicyInvalid(errors={named[1]: [f"Name a {named[0]} or a {named[1]}, not both."]})
        if self.target and self.target not in TARGETS:
            raise PolicyInvalid(errors={"target": [f"There are: {', '.join(TARGETS)}."]})
        kind = S(named[0]) if named else S.EVERYBODY
        return {"scope": kind, "team": self.team, "module": self.module, "target": self.target}


def policy_create(
    *, actor: User, slug: str, title: str, rego: str, scope: Scope | None = None, note: str = ""
) -> Policy:
    """A policy with its first version, switched off. Raises `PolicyInvalid`."""
    require(actor, PolicyPermission.WRITE)
    errors = _title_errors(title) | _rego_errors(rego) | _note_errors(note)
    if not SLUG.fullmatch(slug) or len(slug) > 60:
        errors["slug"] = ["Use small letters, digits and single hyphens, at most 60."]
    elif slug in TAKEN:
        errors["slug"] = ["This name is taken by a page. Choose another one."]
    fields = (scope or Scope()).fields
    if errors:
        raise PolicyInvalid(errors=errors)
    try:
        with transaction.atomic():
            policy = Policy.objects.create(slug=slug, title=title.strip(), **fields)
            _version_add(policy, actor, rego, note)
            audit_record(
                action="policies:policy:created",
                actor=actor,
                target=policy,
                team_id=policy.team_id,
                after=_shown(policy) | {"version": 1},
            )
    except IntegrityError:
        raise PolicyInvalid(errors={"slug": [f"There is a policy “{slug}” already. Choose another name."]}) from None
    return policy


@transaction.atomic
def policy_change(*, actor: User, policy: Policy, title: str, scope: Scope) -> Policy:
    """Its title and what it speaks of."""
    require(actor, PolicyPermission.WRITE)
    row = _locked(policy)
    if errors := _title_errors(title):
        raise PolicyInvalid(errors=errors)
    before = _shown(row)
    row.title = title.strip()
    for name, value in scope.fields.items():
        setattr(row, name, value)
    if before == _shown(row):
        return row
    row.save()
    audit_record(
        action="policies:policy:changed",
        actor=actor,
        target=row,
        team_id=row.team_id,
        before=before,
        after=_shown(row),
    )
    return row


def policy_version_write(
    *, actor: User, policy: Policy, rego: str, note: str = "", expected: int | None = None
) -> PolicyVersion:
    """A new version, in force from now on where the policy is switched on. The same text again is a no-op.

    `expected` is the version that was edited. Raises `PolicyInvalid`, or `PolicyChanged` where that is not the newest.
    """
    require(actor, PolicyPermission.WRITE)
    if errors := _rego_errors(rego) | _note_errors(note):
        raise PolicyInvalid(errors=errors)
    with transaction.atomic():
        row = _locked(policy)
        present = row.current_version
        if present and expected is not None and present.number != expected:
            raise PolicyChanged(f"Version {present.number} was written meanwhile. Look at it, then write yours anew.")
        if present and present.rego == _normal(rego):
            return present
        version = _version_add(row, actor, rego, note)
        audit_record(
            action="policies:policy:version-written",
            actor=actor,
            target=row,
            team_id=row.team_id,
            before={"version": present.number if present else None},
            after={"version": version.number, "note": version.note, "enabled": row.enabled},
        )
    return version


def policy_enable(*, actor: User, policy: Policy) -> Policy:
    """From now on every plan it speaks of is asked about."""
    return _switch(actor, policy, True)


def policy_disable(*, actor: User, policy: Policy) -> Policy:
    return _switch(actor, policy, False)


@transaction.atomic
def _switch(actor: User, policy: Policy, enabled: bool) -> Policy:
    require(actor, PolicyPermission.WRITE)
    row = _locked(policy)
    if row.enabled == enabled:
        return row
    row.enabled = enabled
    row.save(update_fields=["enabled"])
    audit_record(
        action=f"policies:policy:{'enabled' if enabled else 'disabled'}",
        actor=actor,
        target=row,
        team_id=row.team_id,
        before={"enabled": not enabled},
        after={"enabled": enabled, "version": row.current_version.number if row.current_version else None},
    )
    return row


def _locked(policy: Policy) -> Policy:
    rows = Policy.objects.select_for_update(of=("self",)).select_related("current_version", "team", "module")
    return rows.get(pk=policy.pk)


def _version_add(policy: Policy, actor: User, rego: str, note: str) -> PolicyVersion:
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    version = PolicyVersion.objects.create(
        policy=policy, number=last + 1, rego=_normal(rego), note=note.strip(), created_by=actor
    )
    policy.current_version = version
    policy.save(update_fields=["current_version"])
    return version


def _normal(rego: str) -> str:
    """As an editor on any system would have stored it: a browser sends its own line ends."""
    return rego.replace("\r\n", "\n").replace("\r", "\n").strip("\n") + "\n"


def _title_errors(title: str) -> dict[str, list[str]]:
    if not title.strip():
        return {"title": ["Give it a title."]}
    return {"title": ["At most 80 characters."]} if len(title) > 80 else {}


def _note_errors(note: str) -> dict[str, list[str]]:
    return {"note": ["At most 200 characters."]} if len(note) > 200 else {}


def _rego_errors(rego: str) -> dict[str, list[str]]:
    problems = rego_problems(_normal(rego) if rego.strip() else "")
    return {"rego": [str(problem) for problem in problems]} if problems else {}


def _shown(policy: Policy) -> dict[str, Any]:
    return {"slug": policy.slug, "title": policy.title, "scope": policy.scope_shown}
