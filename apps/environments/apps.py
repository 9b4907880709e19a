from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "apps.environments"
    label = "environments"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.core.ciphers import register_cipher
        from apps.environments import observers
        from apps.environments.words import AUDIT_WORDS

        observers.register()
        register_words(AUDIT_WORDS)
        register_cipher("environments.Environment", "inputs_cipher", "inputs of environments")
        register_cipher("environments.Environment", "secrets_cipher", "tokens of environments")
        register_cipher("environments.Environment", "settled_cipher", "inputs from before an update")
        register_cipher("environments.Rollout", "inputs_cipher", "values given for a rollout")
