"""Which rows of the catalog may go. Versions and their checks stay for ever; the newest retrieval of a source stays."""

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from apps.catalog.models import ModuleRetrieval
from apps.core.retention import before, register_prune


def register() -> None:
    register_prune("module retrievals", retrievals_old)


def retrievals_old() -> QuerySet[ModuleRetrieval]:
    newer = ModuleRetrieval.objects.filter(source=OuterRef("source"), created_at__gt=OuterRef("created_at"))
    ended = (ModuleRetrieval.Status.DONE, ModuleRetrieval.Status.FAILED)
    return ModuleRetrieval.objects.filter(
        Exists(newer), status__in=ended, finished_at__lt=before(days=settings.KEEP_COMMAND_DAYS)
    )
