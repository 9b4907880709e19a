from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "apps.audit"
    label = "audit"

    def ready(self) -> None:
        from apps.accounts.registry import register_recorder
        from apps.audit.services import audit_record

        register_recorder(audit_record)
