"""What open pages hear: a row per event, told to every web process by PostgreSQL's NOTIFY."""

from typing import Any

from django.db import connection

from apps.core.models import LiveEvent

CHANNEL = "slipway_live"


def publish(*, audience: str, topic: str, kind: str, data: dict[str, Any] | None = None) -> None:
    """Append an event in the caller's transaction; readers are woken when it commits.

    `audience` is `team:<id>` or `user:<id>`, `topic` is `environment:<id>`, `experiment:<id>` or `user:<id>`,
    `kind` is `status`, `log` or `inbox`.
    """
    LiveEvent.objects.create(audience=audience, topic=topic, kind=kind, data=data or {})
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
