"""From what rules answered to findings: bounded, and of one shape whatever a rule wrote."""

import json
from collections.abc import Iterable
from typing import Any

from apps.policies.rego import Answer
from apps.provisioning.registry import Finding

MOST = 50
LONGEST = 400
NO_CURE = "Change the settings and try again, or ask a platform engineer."
NO_APPROVALS = "There are no approvals yet, so this only warns."
BROKEN_RULE = "cannot-be-evaluated"


def findings_of(policy: str, answer: Answer) -> list[Finding]:
    """What one policy found; what an effect says twice is said once."""
    found = [
        _finding(policy, effect, value) for effect, values in answer.effects.items() for value in _flat(values)[:MOST]
    ]
    return list(dict.fromkeys(found))


def finding_broken(policy: str, title: str, answer: Answer) -> Finding:
    """A policy that cannot be evaluated denies: what nobody could check is not done."""
    return Finding(
        policy=policy,
        rule=BROKEN_RULE,
        effect="deny",
        message=f"The policy “{title}” could not be checked. {answer.error}"[:LONGEST],
        cure="This is not your fault. The platform team has been told; try again when it has mended the policy.",
    )


def _finding(policy: str, effect: str, value: Any) -> Finding:
    told = value if isinstance(value, dict) else {"msg": value}
    cure = _text(told.get("cure")) or (NO_CURE if effect == "deny" else "")
    if effect == "require_approval":
        cure = f"{cure} {NO_APPROVALS}".strip()
    return Finding(
        policy=policy,
        rule=_text(told.get("rule"))[:80],
        effect=effect,
        message=_text(told.get("msg", told.get("message"))) or "This is not allowed.",
        cure=cure,
        address=_text(told.get("address"))[:200],
    )


def _flat(values: Any) -> list[Any]:
    return values if isinstance(values, list) else []


def _text(value: Any) -> str:
    """One line that fits a page; a rule may write anything."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text[: LONGEST * 4]).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def softened(findings: Iterable[Finding]) -> list[Finding]:
    """For what must always be possible: everything warns."""
    return [Finding(**{**vars(one), "effect": "warn" if one.effect == "deny" else one.effect}) for one in findings]
