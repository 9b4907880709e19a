"""The Django admin of platform engineers: for looking, with the few writes that name a service."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse


class PortalAdminSite(admin.AdminSite):
    """Open to platform engineers, who sign in where everybody does."""

    site_header = site_title = "Slipway admin"
    index_title = "Tables"
    site_url = "/"

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and getattr(request.user, "is_platform_engineer", False)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return redirect_to_login(request.GET.get("next") or "/admin/")


class ReadOnlyAdmin(admin.ModelAdmin):
    """Rows to look at. Nothing is added, changed or deleted here."""

    list_per_page = 50
    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return getattr(request.user, "is_platform_engineer", False)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request.user, "is_platform_engineer", False)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
