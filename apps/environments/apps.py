from django.apps import AppConfig


class EnvironmentsConfig(AppConfig):
    name = "apps.environments"
    label = "environments"

    def ready(self) -> None:
        from apps.environments import observers

        observers.register()
