from django.apps import AppConfig


class HomeConfig(AppConfig):
    name = "apps.home"
    label = "home"

    def ready(self) -> None:
        from apps.home import operations

        operations.register()
