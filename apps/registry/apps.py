from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "apps.registry"
    label = "registry"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.registry.words import AUDIT_WORDS

        register_words(AUDIT_WORDS)
