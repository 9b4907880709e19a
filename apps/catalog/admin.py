from django.contrib import admin

from apps.catalog.models import Module, ModuleVersion
from apps.core.admin import ReadOnlyAdmin


@admin.register(Module)
class ModuleAdmin(ReadOnlyAdmin):
    list_display = ["slug", "title", "kind", "target", "latest_version"]


@admin.register(ModuleVersion)
class ModuleVersionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "digest", "commit", "created_at"]
    exclude = ["archive"]
