from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.forms import ModelForm
from django.http import HttpRequest

from apps.accounts.models import ApiToken, Membership, Team, User
from apps.accounts.requests import person_of
from apps.accounts.services import user_update
from apps.accounts.services.people import PROFILE_FIELDS, ROLE_FIELDS
from apps.core.admin import ReadOnlyAdmin

admin.site.unregister(Group)


class MembershipInline(admin.TabularInline):
    model = Membership
    extra = 0
    can_delete = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request.user, "is_platform_engineer", False)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """Names, address and global roles can be changed here; people are added on the people page."""

    list_display = ["username", "display_name", "email", "is_platform_engineer", "is_auditor", "is_active"]
    list_filter = ["is_platform_engineer", "is_auditor", "is_active"]
    search_fields = ["username", "first_name", "last_name", "email"]
    fields = ["username", *PROFILE_FIELDS, *ROLE_FIELDS, "last_login", "date_joined"]
    readonly_fields = ["username", "last_login", "date_joined"]
    inlines = [MembershipInline]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return getattr(request.user, "is_platform_engineer", False)

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        changed = {name: form.cleaned_data[name] for name in form.changed_data if name in PROFILE_FIELDS + ROLE_FIELDS}
        user_update(user=obj, actor=person_of(request.user), **changed)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """The audit log holds it."""


@admin.register(Team)
class TeamAdmin(ReadOnlyAdmin):
    list_display = ["slug", "name", "created_at"]
    inlines = [MembershipInline]


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ["user", "name", "prefix", "scopes", "environment_id", "expires_at", "revoked_at", "last_used_at"]
    list_select_related = ["user"]
    exclude = ["digest"]
