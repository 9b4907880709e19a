from django.apps import AppConfig

# Where archives are sent, and what may come with one in the same request.
UPLOADS = ("/modules/register/upload/", "/api/v1/module-uploads/")
FORM_BYTES = 256 * 1024


class CatalogConfig(AppConfig):
    name = "apps.catalog"
    label = "catalog"

    def ready(self) -> None:
        from apps.audit.words import register_words
        from apps.catalog import retention
        from apps.catalog.archives import ARCHIVE_BYTES
        from apps.catalog.words import AUDIT_WORDS
        from apps.core.ciphers import register_cipher, register_plain
        from apps.core.limits import register_upload

        retention.register()
        register_words(AUDIT_WORDS)
        for path in UPLOADS:
            register_upload(path, ARCHIVE_BYTES + FORM_BYTES)
        register_cipher("catalog.ModuleSource", "credential_cipher", "credentials of module sources")
        register_plain("catalog.ModuleVersion", "archive", "a module's files hold no secret; people may read them")
