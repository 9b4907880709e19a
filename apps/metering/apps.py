from django.apps import AppConfig


class MeteringConfig(AppConfig):
    name = "apps.metering"
    label = "metering"

    def ready(self) -> None:
        from apps.metering import observers

        observers.register()
