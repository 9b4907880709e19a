from django.contrib import admin

from apps.core.admin import ReadOnlyAdmin
from apps.environments.models import Environment


@admin.register(Environment)
class EnvironmentAdmin(ReadOnlyAdmin):
    list_display = ["name", "status", "failure", "owner", "team", "module_version", "expires_at", "created_at"]
    list_filter = ["status", "failure", "module"]
    search_fields = ["name", "slug", "id", "owner__username"]
    list_select_related = ["owner", "team", "module_version__module"]
    exclude = ["inputs_cipher", "secrets_cipher", "settled_cipher"]
