from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "apps.registry"
    label = "registry"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.experiments.registry import models_of_run
        from apps.registry.deployed import register_provider
        from apps.registry.endpoints import EndpointEnvironments
        from apps.registry.of_runs import models_from_runs
        from apps.registry.words import AUDIT_WORDS

        register_words(AUDIT_WORDS)
        register_provider(EndpointEnvironments())
        models_of_run(models_from_runs)
