from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "apps.catalog"
    label = "catalog"

    def ready(self) -> None:
        from apps.core.ciphers import register_plain

        register_plain("catalog.ModuleVersion", "archive", "a module's files hold no secret; people may read them")
