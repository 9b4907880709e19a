"""One writer at a time for each model: whoever moves its aliases, and whoever compares them with what is known."""

from apps.core.locking import name_lock


def model_lock(name: str) -> None:
    """Held until the surrounding transaction ends; MLflow itself lets the last writer win."""
    name_lock(f"registry:{name}")
