"""What follows from a version's status: which one is the latest, and that agents hear of work."""

from django.db import connection

from apps.runtimes.models import Runtime, RuntimeVersion


def latest_settle(runtime: Runtime) -> None:
    """The newest version that is ready is what new environments get; call with the runtime's row locked."""
    newest = RuntimeVersion.objects.choosable().filter(runtime=runtime).order_by("-number").first()
    Runtime.objects.filter(pk=runtime.pk).update(latest_version=newest)
    runtime.latest_version = newest


def agents_wake() -> None:
    """When the transaction commits; who sleeps through it finds the version all the same, some seconds later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('slipway_runtimes', '')")
