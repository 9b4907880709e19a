"""Registering modules, and the life of their versions."""

from apps.catalog.services.checks import CHECKS, checks_queue, checks_repeat
from apps.catalog.services.life import (
    module_version_deprecate,
    module_version_publish,
    module_version_restore,
    module_version_revoke,
)
from apps.catalog.services.registering import (
    module_archive_extract,
    module_register,
    module_register_repository,
    module_register_upload,
    module_version_register,
)
from apps.catalog.services.sources import (
    retrieval_request,
    source_create,
    source_credential,
    source_remove,
    source_update,
)

__all__ = [
    "CHECKS",
    "checks_queue",
    "checks_repeat",
    "module_archive_extract",
    "module_register",
    "module_register_repository",
    "module_register_upload",
    "module_version_deprecate",
    "module_version_publish",
    "module_version_register",
    "module_version_restore",
    "module_version_revoke",
    "retrieval_request",
    "source_create",
    "source_credential",
    "source_remove",
    "source_update",
]
