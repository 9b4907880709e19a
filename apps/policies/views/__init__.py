from apps.policies.views.editing import policy_edit, policy_new, policy_settings
from apps.policies.views.inputs import input_policies, input_policy
from apps.policies.views.reading import policies, policy, version
from apps.policies.views.switching import disable, enable

__all__ = [
    "disable",
    "enable",
    "input_policies",
    "input_policy",
    "policies",
    "policy",
    "policy_edit",
    "policy_new",
    "policy_settings",
    "version",
]
