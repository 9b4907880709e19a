"""Asking the rules about a plan, beside the agent's loop, and what becomes of a change they refuse."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from django.db import close_old_connections, connections

from apps.core.correlation import correlation_id
from apps.provisioning.models import Change
from apps.provisioning.plans import plan_masked
from apps.provisioning.registry import Finding, plan_gates, request_callbacks

DENIED = "policies:denied"
MOST_FINDINGS = 100


class Gating:
    """Runs in a thread of its own, because rules may take their seconds; `done()` never waits.

    `fields` are what is written with the answer, `go_on` is what happens where no rule denies.
    """

    def __init__(
        self,
        change: Change,
        plan: dict[str, Any],
        secrets: Iterable[str],
        fields: dict[str, Any],
        go_on: Callable[..., bool],
    ) -> None:
        self.change = change
        self.plan = plan
        self.secrets = frozenset(secrets)
        self.fields = fields
        self.go_on = go_on
        self.found: list[Finding] = []
        self.problem: Exception | None = None
        self.thread = threading.Thread(target=self._run, name="gating", daemon=True)
        self.thread.start()

    def done(self) -> bool:
        return not self.thread.is_alive()

    def result(self) -> dict[str, Any]:
        """The fields to write, with a failure where a rule denies. Raises what went wrong in asking: nothing passes
        unasked."""
        if self.problem is not None:
            raise self.problem
        return {**self.fields, "findings": findings_json(self.found), **refusal(self.found)}

    def _run(self) -> None:
        correlation_id.set(self.change.correlation_id or "-")
        try:
            close_old_connections()
            request: dict[str, Any] = {"kind": self.change.kind}
            for callback in request_callbacks:
                request |= callback(self.change.workspace, self.change)
            plan = plan_masked(self.plan, secrets=self.secrets)
            for gate in plan_gates:
                self.found += gate(self.change, plan, request)
        except Exception as error:
            self.problem = error
        finally:
            connections.close_all()


def findings_json(findings: list[Finding]) -> list[dict[str, Any]]:
    return [asdict(one) for one in findings[:MOST_FINDINGS]]


def refusal(findings: list[Finding]) -> dict[str, Any]:
    """The failure of a change that a rule denies; nothing where none does."""
    denied = [one for one in findings if one.effect == "deny"]
    if not denied:
        return {}
    return {
        "failure_code": DENIED,
        "failure_summary": f"{denied[0].message} {denied[0].cure}".strip()[:500],
        "failure_detail": "\n\n".join(_told(one) for one in denied[:MOST_FINDINGS])[:20_000],
    }


def _told(finding: Finding) -> str:
    rule = f", rule {finding.rule}" if finding.rule else ""
    where = f"\n  at {finding.address}" if finding.address else ""
    return f"policy {finding.policy}{rule}\n  {finding.message}{where}\n  {finding.cure}"
