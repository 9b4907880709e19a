from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "apps.environments"
    label = "environments"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.environments import observers
        from apps.environments.words import AUDIT_WORDS

        observers.register()
        register_words(AUDIT_WORDS)
