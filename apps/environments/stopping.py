"""What a stop costs: mostly nothing but what is in memory; where a module says more, in its own words."""

from apps.catalog.models import ModuleVersion
from apps.environments.models import Environment

KEPT = "Files are kept."
# Why it is not as it was left, where a check found it so.
STOPPED_OUTSIDE = "It stopped by itself because it was idle, or was stopped outside Slipway."
STARTED_OUTSIDE = "It was started outside Slipway."


def lost_on_stop(version: ModuleVersion) -> str:
    """What the module says a stop loses; empty where files are kept."""
    return str(version.interface.get("lost_on_stop") or "")


def stop_words(environment: Environment) -> str:
    """The sentence about files for whoever is told of a stop."""
    return lost_on_stop(environment.module_version) or KEPT
