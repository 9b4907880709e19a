"""The machine half of the agent: volumes, runtimes, supervised services, their isolation and limits.

Pure Python without Django. The public names are loaded on first use, because the small process that stands over
each service (`shim`) imports this package too and must stay small.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import MachineError
    from .machine import Machine
    from .observing import ServiceObservation

__all__ = ["Machine", "MachineError", "ServiceObservation"]

_HOMES = {"Machine": ".machine", "MachineError": ".errors", "ServiceObservation": ".observing"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
