"""The one clock that decides: the database's. Those of the machines around it may differ, and may be moved."""

from datetime import datetime

from django.db import connection
from django.db.models import DateTimeField, Func


def database_now() -> datetime:
    """The time at which this statement runs, in UTC. For what is compared by several processes: leases, stop times."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        (moment,) = cursor.fetchone()
    now: datetime = moment
    return now


class StatementNow(Func):
    """The same time as a column of a query that reads what it is compared with."""

    function = "statement_timestamp"
    output_field = DateTimeField()  # type: ignore[assignment]
