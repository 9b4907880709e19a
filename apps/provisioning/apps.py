from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    name = "apps.provisioning"
    label = "provisioning"

    def ready(self) -> None:
        from apps.audit.words import register_words

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
