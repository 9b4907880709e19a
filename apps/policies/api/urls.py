from apps.policies.api.input_policies import InputPolicyViewSet
from apps.policies.api.views import SLUG, PolicyVersionViewSet, PolicyViewSet

routes = [
    ("policies", PolicyViewSet, "policy"),
    (rf"policies/(?P<policy_slug>{SLUG})/versions", PolicyVersionViewSet, "policy-version"),
    ("input-policies", InputPolicyViewSet, "input-policy"),
]
