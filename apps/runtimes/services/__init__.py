"""Writing Python environments: what people do, what agents report, what comes with Slipway."""

from apps.runtimes.services.editing import (
    runtime_change,
    runtime_create,
    runtime_version_create,
    runtime_version_deprecate,
    runtime_version_restore,
    runtime_version_retry,
)
from apps.runtimes.services.making import (
    runtime_version_failed,
    runtime_version_locked,
    runtime_version_log,
    runtime_version_measured,
    runtime_version_ready,
)
from apps.runtimes.services.seeding import runtime_seed

__all__ = [
    "runtime_change",
    "runtime_create",
    "runtime_seed",
    "runtime_version_create",
    "runtime_version_deprecate",
    "runtime_version_failed",
    "runtime_version_locked",
    "runtime_version_log",
    "runtime_version_measured",
    "runtime_version_ready",
    "runtime_version_restore",
    "runtime_version_retry",
]
