from django.apps import AppConfig


class RuntimesConfig(AppConfig):
    name = "apps.runtimes"
    label = "runtimes"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.runtimes.words import AUDIT_WORDS

        register_words(AUDIT_WORDS)
