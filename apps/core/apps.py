from typing import Any

from django.apps import AppConfig, apps


class CoreConfig(AppConfig):
    name = "apps.core"
    label = "core"

    def ready(self) -> None:
        # Django makes its admin site from this name when it is first asked for, which is after every `ready()`.
        admin: Any = apps.get_app_config("admin")
        admin.default_site = "apps.core.admin.PortalAdminSite"
