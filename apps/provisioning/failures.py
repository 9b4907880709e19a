"""Why a change failed, as a stable code: the first rule whose words stand in Terraform's diagnostics decides."""

import re
from typing import NamedTuple


class Rule(NamedTuple):
    code: str
    pattern: re.Pattern[str]


def _rule(code: str, pattern: str) -> Rule:
    return Rule(code, re.compile(pattern, re.IGNORECASE))


RULES = (
    _rule("provisioning:disk-full", r"no space left on device|disk quota exceeded"),
    _rule("provisioning:repository", r"git clone|repository could not be cloned|could not read from remote repository"),
    _rule("provisioning:packages", r"runtime could not be built|no solution found|uv (pip|venv)|failed to download"),
    _rule("provisioning:memory", r"out of memory|memory limit"),
    _rule("provisioning:early-exit", r"ended before it answered|exited before|exited early|early exit"),
    _rule("provisioning:health-timeout", r"did not answer|health (check|wait)|timed out waiting"),
    _rule("provisioning:port", r"address already in use|no free port"),
    _rule("provisioning:agent-unreachable", r"agent('s)? socket|agent (cannot|could not) be reached|connection refused"),
    _rule("provisioning:invalid-input", r"invalid value for variable|invalid value for input variable"),
    _rule("provisioning:provider-missing", r"failed to query available provider|failed to install provider"),
    _rule("provisioning:plan-stale", r"saved plan is stale|plan file can no longer be applied"),
    _rule("provisioning:engine-mismatch", r"plan file was created by|unsupported terraform core version"),
)


def failure_code(text: str) -> str:
    for rule in RULES:
        if rule.pattern.search(text):
            return rule.code
    return "provisioning:terraform"


REPLANNED = frozenset({"provisioning:plan-stale", "provisioning:engine-mismatch"})
