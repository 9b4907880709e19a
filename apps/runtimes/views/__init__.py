"""Pages of Python environments: everybody may look, platform engineers make and deprecate."""

from apps.runtimes.views.editing import deprecate, describe, new, requirements, restore, retry
from apps.runtimes.views.looking import runtime, runtimes, version

__all__ = [
    "deprecate",
    "describe",
    "new",
    "requirements",
    "restore",
    "retry",
    "runtime",
    "runtimes",
    "version",
]
