from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    name = "apps.experiments"
    label = "experiments"

    def ready(self) -> None:
        from apps.audit.words import register_words

        register_words({"experiments:index:rebuild": "dropped and rebuilt the"})
