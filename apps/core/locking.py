"""Locks by name in PostgreSQL, for what lies elsewhere and has no row of ours to lock."""

from django.db import connection


def name_lock(name: str) -> None:
    """One at a time for each name, until the surrounding transaction ends; `name` begins with what it is of."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
