"""Looking now and then at what runs in a cloud: it stops by itself when it is idle, and nobody here sees that."""

from datetime import timedelta
from itertools import islice

from django.db.models import Exists, OuterRef

from apps.core.clock import database_now
from apps.core.exceptions import Conflict
from apps.environments.models import Environment
from apps.environments.services.running import environment_refresh
from apps.provisioning.models import Change

EVERY = timedelta(minutes=30)
# Each check is a run of Terraform, which costs seconds of a processor: a few at once, the longest unseen first.
AT_ONCE = 2
LOCAL = "local"


def environments_to_look_at() -> list[Environment]:
    """Running ones of a cloud whose module tells whether they run, and at which nobody has looked for a while."""
    recent = Change.objects.filter(workspace_id=OuterRef("pk"), created_at__gt=database_now() - EVERY)
    active = Change.objects.active().filter(workspace_id=OuterRef("pk"))
    rows = Environment.objects.filter(status=Environment.Status.RUNNING).exclude(module__target=LOCAL)
    rows = rows.exclude(Exists(recent)).exclude(Exists(active)).select_related("module_version")
    telling = (row for row in rows.order_by("status_since", "pk")[:200] if _tells(row))
    return list(islice(telling, AT_ONCE))


def environments_look() -> int:
    """Ask for a check of those; how many there were."""
    found = environments_to_look_at()
    for environment in found:
        try:
            environment_refresh(environment=environment, actor=None)
        except Conflict:
            continue
    return len(found)


def _tells(environment: Environment) -> bool:
    return any(output["name"] == "running" for output in environment.module_version.interface.get("outputs", []))
