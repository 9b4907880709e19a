"""What the apps below are asked for `/readyz` and `/metrics`; registered here, where all of them are known."""

from collections.abc import Iterator

from django.db.models import Count
from django.utils import timezone

from apps.accounts.models import User
from apps.core import health, metrics
from apps.environments.models import Environment
from apps.home.selectors import MACHINE_SILENCE
from apps.provisioning.models import Change, Machine


def agent_state() -> str:
    """At least one machine's agent was heard of lately; raises `Unhealthy`."""
    newest = Machine.objects.exclude(seen_at=None).order_by("-seen_at").values_list("seen_at", flat=True).first()
    if newest is None:
        raise health.Unhealthy("no machine agent has reported yet")
    age = max(0.0, (timezone.now() - newest).total_seconds())
    if age > MACHINE_SILENCE.total_seconds():
        raise health.Unhealthy(f"last heard of {age:.0f} s ago; is `manage.py agent` running?")
    return f"heard of {age:.0f} s ago"


def environments_by_status() -> Iterator[tuple[tuple[str, ...], float]]:
    rows = Environment.objects.living().order_by().values("status", "module__kind").annotate(count=Count("pk"))
    for row in rows:
        yield (row["status"], row["module__kind"]), row["count"]


def changes_by_status() -> Iterator[tuple[tuple[str, ...], float]]:
    found = dict(Change.objects.active().order_by().values_list("status").annotate(count=Count("pk")))
    for status in Change.ACTIVE:
        yield (str(status),), found.get(status, 0)


def agents_silence() -> Iterator[tuple[tuple[str, ...], float]]:
    now = timezone.now()
    for machine in Machine.objects.exclude(seen_at=None):
        if machine.seen_at is not None:
            yield (machine.name,), max(0.0, (now - machine.seen_at).total_seconds())


def people() -> Iterator[tuple[tuple[str, ...], float]]:
    yield (), User.objects.filter(is_active=True).count()


def register() -> None:
    health.register_check("agent", agent_state)
    metrics.register_gauge(
        "environments", "Environments that are not destroyed.", environments_by_status, labels=("status", "kind")
    )
    metrics.register_gauge("changes", "Changes that are not finished.", changes_by_status, labels=("status",))
    metrics.register_gauge("agent_silence_seconds", "Since an agent reported.", agents_silence, labels=("machine",))
    metrics.register_gauge("people", "People who can sign in.", people)
