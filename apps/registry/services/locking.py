"""One writer at a time for each model: whoever moves its aliases, and whoever compares them with what is known."""

from django.db import connection


def model_lock(name: str) -> None:
    """Held until the surrounding transaction ends; MLflow itself lets the last writer win."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"registry:{name}"])
