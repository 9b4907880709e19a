from django.apps import AppConfig


class CatalogConfig(AppConfig):
    name = "apps.catalog"
    label = "catalog"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.catalog.words import AUDIT_WORDS
        from apps.core.ciphers import register_cipher, register_plain

        register_words(AUDIT_WORDS)
        register_cipher("catalog.ModuleSource", "credential_cipher", "credentials of module sources")
        register_plain("catalog.ModuleVersion", "archive", "a module's files hold no secret; people may read them")
