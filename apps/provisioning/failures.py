"""Why a change failed, as a stable code: the agent's own code, else the first rule whose words Terraform used."""

import re
from typing import NamedTuple


class Rule(NamedTuple):
    code: str
    pattern: re.Pattern[str]


def _rule(code: str, pattern: str) -> Rule:
    return Rule(code, re.compile(pattern, re.IGNORECASE))


# Of clouds: before the others, which go by words that a cloud's messages may have as well.
CLOUD_RULES = (
    _rule("provisioning:cloud-platform", r"the platform has not said"),
    _rule(
        "provisioning:cloud-credentials",
        r"no valid credential sources|there are no aws credentials|no aws region is set|invalid aws region|"
        r"missing region configuration|InvalidClientTokenId|UnrecognizedClientException|ExpiredToken|"
        r"SignatureDoesNotMatch|AuthFailure|InvalidAccessKeyId",
    ),
    _rule("provisioning:cloud-denied", r"AccessDenied|UnauthorizedOperation|is not authorized to perform"),
    _rule("provisioning:cloud-exists", r"cannot create a duplicate notebook instance|lifecycle config already exists"),
    _rule(
        "provisioning:cloud-quota",
        r"ResourceLimitExceeded|LimitExceededException|VcpuLimitExceeded|InstanceLimitExceeded|"
        r"account-level service limit",
    ),
    _rule("provisioning:cloud-capacity", r"InsufficientInstanceCapacity|InsufficientCapacity|capacity-not-available"),
    _rule(
        "provisioning:cloud-unreachable",
        r"aws could not be asked|could not connect to the endpoint|dial tcp.*amazonaws\.com|"
        r"request send failed, Post \"https?://",
    ),
)
RULES = (
    *CLOUD_RULES,
    _rule("provisioning:disk-full", r"no space left on device|disk quota exceeded"),
    _rule(
        "provisioning:agent-unreachable", r"agent('s)? socket|agent (cannot|could not) be reached|connection refused"
    ),
    _rule("provisioning:invalid-input", r"invalid value for variable|invalid value for input variable"),
    _rule("provisioning:provider-missing", r"failed to query available provider|failed to install provider"),
    _rule("provisioning:terraform-lost", r"plugin did not respond|GRPCProvider\)\.\w+ request was cancelled"),
    _rule("provisioning:plan-stale", r"saved plan is stale|plan file can no longer be applied"),
    _rule("provisioning:engine-mismatch", r"plan file was created by|unsupported terraform core version"),
)


# What the agent called it, which the local provider passes on as the last line of its diagnostic.
MACHINE_CODE = re.compile(r"^Code: (machine:[a-z-]+)$", re.MULTILINE)
OF_MACHINE = {
    "machine:clone-failed": "provisioning:repository",
    "machine:invalid-repository": "provisioning:repository",
    "machine:invalid-revision": "provisioning:revision",
    "machine:revision-not-found": "provisioning:revision",
    "machine:runtime-failed": "provisioning:packages",
    "machine:python-not-found": "provisioning:packages",
    "machine:no-uv": "provisioning:packages",
    "machine:out-of-memory": "provisioning:memory",
    "machine:service-ended": "provisioning:early-exit",
    "machine:service-timeout": "provisioning:health-timeout",
    "machine:port-taken": "provisioning:port",
    "machine:no-gpu": "provisioning:no-gpu",
    "machine:no-port": "provisioning:port",
}


UNKNOWN = "provisioning:terraform"
IMPORT = "provisioning:import"
# Terraform or its provider was killed.
LOST = "provisioning:terraform-lost"


def failure_code(text: str, *, exit_code: int | None = None, importing: bool = False) -> str:
    """The stable code for the diagnostics of a failed stage, and the exit code of its last command.

    `importing`: it was the plan of a change that takes something over, which is the likeliest cause of an error.
    """
    if (told := MACHINE_CODE.search(text)) and told[1] in OF_MACHINE:
        return OF_MACHINE[told[1]]
    for rule in RULES:
        if rule.pattern.search(text):
            return rule.code
    if importing and text:
        return IMPORT
    # Without a word, by a signal: somebody or the kernel ended it.
    return LOST if not text and (exit_code or 0) > 128 else UNKNOWN


REPLANNED = frozenset({"provisioning:plan-stale", "provisioning:engine-mismatch"})
