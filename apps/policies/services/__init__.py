"""Writing the platform team's rules."""

from apps.policies.services.input_policies import input_policy_set, interface_of
from apps.policies.services.policies import (
    Scope,
    policy_change,
    policy_create,
    policy_disable,
    policy_enable,
    policy_version_write,
)

__all__ = [
    "Scope",
    "input_policy_set",
    "interface_of",
    "policy_change",
    "policy_create",
    "policy_disable",
    "policy_enable",
    "policy_version_write",
]
