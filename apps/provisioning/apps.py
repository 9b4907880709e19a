from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "apps.provisioning"
    label = "provisioning"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.core.ciphers import register_cipher
        from apps.provisioning import retention, set_usage

        register_cipher("provisioning.Change", "values", "values of changes")
        register_cipher("provisioning.Workspace", "outputs", "outputs")
        register_cipher("provisioning.StateVersion", "cipher", "states")

        retention.register()
        set_usage.register()
        register_words(
            {
                "provisioning:change:requested": "asked for the change",
                "provisioning:change:approved": "applied the plan of",
                "provisioning:change:discarded": "discarded the plan of",
                "provisioning:change:cancelled": "cancelled the change",
                "provisioning:change:cancel-requested": "asked to cancel the change",
                "provisioning:change:kill-confirmed": "ended by force the change",
            }
        )
