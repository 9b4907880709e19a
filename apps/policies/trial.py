"""Trying rules on plans of the past: what they would have said, and what the version in force says."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from apps.accounts.models import User
from apps.core.crypto import KeyLost
from apps.core.rates import rate_check
from apps.policies.documents import plan_document_read
from apps.policies.exceptions import PolicyInvalid
from apps.policies.findings import findings_of, softened
from apps.policies.gate import NEVER_DENIED
from apps.policies.models import PlanDocument
from apps.policies.permissions import PolicyPermission, require
from apps.policies.rego import Answer, Question, rego_ask
from apps.policies.rego_check import rego_problems
from apps.policies.services import Scope
from apps.provisioning.registry import Finding

PLANS = 50
SECONDS_EACH = 3.0
SECONDS_ALL = 20.0
WORDS = {"deny": "Denied", "warn": "Warned", "pass": "Passed", "error": "Cannot be checked"}
TONES = {"deny": "bad", "warn": "warn", "pass": "good", "error": "bad"}


@dataclass(frozen=True)
class TrialRow:
    """One past plan; `before` is the result of the version in force, empty where there is none."""

    document: PlanDocument
    result: str
    findings: list[Finding] = field(default_factory=list)
    error: str = ""
    before: str = ""

    @property
    def differs(self) -> bool:
        return bool(self.before) and self.before != self.result

    @property
    def word(self) -> str:
        return WORDS[self.result]

    @property
    def tone(self) -> str:
        return TONES[self.result]

    @property
    def before_word(self) -> str:
        return WORDS.get(self.before, "")


@dataclass(frozen=True)
class Trial:
    rows: list[TrialRow]

    @property
    def counts(self) -> dict[str, int]:
        """How many plans of each result, in the order of `WORDS`; absent ones left out."""
        found = Counter(row.result for row in self.rows)
        return {result: found[result] for result in WORDS if found[result]}

    @property
    def summary(self) -> str:
        """ "12 plans: 2 denied, 10 passed" """
        if not self.rows:
            return "No plans are kept yet"
        told = ", ".join(f"{count} {WORDS[result].lower()}" for result, count in self.counts.items())
        return f"{len(self.rows)} plan{'' if len(self.rows) == 1 else 's'}: {told}"

    @property
    def different(self) -> int:
        return sum(row.differs for row in self.rows)


def policy_try(*, actor: User, rego: str, scope: Scope, in_force: str = "") -> Trial:
    """The last plans that the rules would speak of.

    One may compute for `SECONDS_ALL` twice, so trials are counted. Raises `TooManyRequests`; `PolicyInvalid` for rules
    that cannot be stored.
    """
    require(actor, PolicyPermission.WRITE)
    rate_check(scope="trials", user_id=actor.pk)
    if problems := rego_problems(rego):
        raise PolicyInvalid(errors={"rego": [str(problem) for problem in problems]})
    asked = _asked(actor, scope)
    said = _ask(rego, asked)
    before = _ask(in_force, asked) if in_force and in_force != rego else [Answer()] * len(asked)
    has_before = bool(in_force) and in_force != rego
    rows = []
    for (document, _), now, then in zip(asked, said, before, strict=True):
        result, findings = _result(document, now)
        rows.append(TrialRow(document, result, findings, now.error, _result(document, then)[0] if has_before else ""))
    return Trial(rows)


def _asked(actor: User, scope: Scope) -> list[tuple[PlanDocument, dict[str, Any]]]:
    rows = PlanDocument.objects.visible_to(actor).select_related("module", "change__workspace__team")
    if scope.team:
        rows = rows.filter(change__workspace__team=scope.team)
    if scope.module:
        rows = rows.filter(module=scope.module)
    if scope.target:
        rows = rows.filter(change__workspace__target=scope.target)
    found = []
    for row in rows.defer("change__values", "change__plan")[:PLANS]:
        try:
            found.append((row, plan_document_read(row)))
        except KeyLost:
            # Nobody can read it any more; the doctor says so.
            continue
    return found


def _ask(rego: str, asked: list[tuple[PlanDocument, dict[str, Any]]]) -> list[Answer]:
    questions = [Question(rego, document) for _, document in asked]
    return rego_ask(questions, seconds=SECONDS_EACH, total_seconds=SECONDS_ALL)


def _result(document: PlanDocument, answer: Answer) -> tuple[str, list[Finding]]:
    if answer.error:
        return "error", []
    findings = findings_of("", answer)
    if document.change.kind in NEVER_DENIED:
        findings = softened(findings)
    effects = {finding.effect for finding in findings}
    return ("deny" if "deny" in effects else "warn" if effects else "pass"), findings
