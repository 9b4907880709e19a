"""The one clock that decides: the database's. Those of the machines around it may differ, and may be moved."""

from datetime import datetime

from django.db import connection


def database_now() -> datetime:
    """The time at which this statement runs, in UTC. For what is compared by several processes: leases, stop times."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (moment,) = cursor.fetchone()
    now: datetime = moment
    return now
