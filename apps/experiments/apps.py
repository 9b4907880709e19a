from django.apps import AppConfig
from django.core.signals import request_finished


class ExperimentsConfig(AppConfig):
    name = "apps.experiments"
    label = "experiments"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.core.metrics import register_gauge
        from apps.experiments.gateway import session_close
        from apps.experiments.selectors.index import index_age, index_size

        register_words(
            {
                "experiments:index:rebuild": "dropped and rebuilt the",
                "experiments:run:note-written": "wrote the note of the run",
                "experiments:run:recreated": "recreated the environment of the run",
            }
        )
        request_finished.connect(session_close)
        register_gauge("index_age_seconds", "Since MLflow last answered a round of the index of runs.", index_age)
        register_gauge("index_runs", "Runs in the index, about.", index_size)
