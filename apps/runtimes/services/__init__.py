"""Writing Python environments: what people do, what the agent reports, what comes with Slipway."""

from apps.runtimes.services.seeding import runtime_seed

__all__ = ["runtime_seed"]
