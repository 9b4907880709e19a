from django.apps import AppConfig


class PoliciesConfig(AppConfig):
    name = "apps.policies"
    label = "policies"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.core.ciphers import register_cipher
        from apps.policies import retention
        from apps.policies.gate import plan_check
        from apps.provisioning import registry

        registry.plan_gate(plan_check)
        retention.register()
        register_cipher("policies.PlanDocument", "cipher", "plans of the past")
        register_words(
            {
                "policies:policy:created": "wrote the policy",
                "policies:policy:changed": "changed the policy",
                "policies:policy:version-written": "wrote a version of the policy",
                "policies:policy:enabled": "switched on the policy",
                "policies:policy:disabled": "switched off the policy",
                "policies:input-policy:changed": "changed the input policy of",
                "policies:input-policy:removed": "removed the input policy of",
            }
        )
