"""What the agent asks before it applies a plan: every policy in force that speaks of it."""

import logging
from typing import Any

from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.policies.documents import plan_document_keep
from apps.policies.findings import finding_broken, findings_of, softened
from apps.policies.models import Policy
from apps.policies.rego import Answer, Question, rego_ask
from apps.provisioning.models import Change
from apps.provisioning.registry import Finding

log = logging.getLogger(__name__)

# What ends something costs nothing and frees what costs: it is never kept from happening. A check changes nothing.
NEVER_DENIED = frozenset({Change.Kind.STOP, Change.Kind.DESTROY, Change.Kind.REFRESH})


def plan_check(change: Change, plan: dict[str, Any], request: dict[str, Any]) -> list[Finding]:
    """The findings of every policy in force; the masked plan is kept so that new policies can be tried on it."""
    try:
        plan_document_keep(change=change, plan=plan, request=request)
    except DatabaseError:
        raise
    except Exception:
        # Of use later, not now: what cannot be kept keeps nothing from happening.
        log.exception("the plan of change %s could not be kept", change.pk)
    workspace, module = change.workspace, change.module_version.module
    applying = Policy.objects.in_force().applying_to(
        team_id=workspace.team_id, module_id=module.pk, target=workspace.target
    )
    policies = list(applying.select_related("current_version"))
    asked = {"plan": plan, "request": request}
    texts = [policy.current_version.rego for policy in policies if policy.current_version]
    answers = rego_ask([Question(text, asked) for text in texts])
    findings: list[Finding] = []
    for policy, answer in zip(policies, answers, strict=True):
        if answer.error:
            findings.append(finding_broken(policy.slug, policy.title, answer))
            _tell_engineers(policy, change, answer)
        else:
            findings += findings_of(policy.slug, answer)
    findings.sort(key=lambda one: ("deny", "require_approval", "warn").index(one.effect))
    return softened(findings) if change.kind in NEVER_DENIED else findings


def _tell_engineers(policy: Policy, change: Change, answer: Answer) -> None:
    """Once a day for each version: a broken policy stops everybody it speaks of."""
    log.warning("policy %s could not be evaluated for change %s: %s", policy.slug, change.pk, answer.error)
    for user in User.objects.filter(is_platform_engineer=True, is_active=True):
        notify(
            user=user,
            text=f"Policy “{policy.title}” cannot be evaluated and denies everything it is asked about: {answer.error}",
            url=reverse("policies:policy", args=[policy.slug]),
            action="Mend or switch off",
            level=Notification.Level.FAILURE,
            key=f"policy:{policy.current_version_id}:{timezone.now():%Y%m%d}",
        )
