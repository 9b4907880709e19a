"""Who keeps the catalog. What a person may not see is hidden by the queries."""

from enum import StrEnum

from apps.accounts.models import User
from apps.core.exceptions import NotAllowed


class CatalogPermission(StrEnum):
    REGISTER = "catalog:module:register"
    PUBLISH = "catalog:module-version:publish"


def can(user: User, permission: CatalogPermission) -> bool:
    """Platform engineers keep modules; auditors see all of it, everybody else what is published."""
    return user.is_active and user.is_platform_engineer


def require(user: User, permission: CatalogPermission) -> None:
    """Raises `NotAllowed` (403)."""
    if not can(user, permission):
        raise NotAllowed("Only platform engineers register and publish modules")
