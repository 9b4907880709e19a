"""Which plans of the past may go."""

from django.conf import settings
from django.db.models import QuerySet

from apps.core.retention import before, register_prune
from apps.policies.models import PlanDocument


def register() -> None:
    register_prune("plan documents", plan_documents_old)


def plan_documents_old() -> QuerySet[PlanDocument]:
    return PlanDocument.objects.filter(planned_at__lt=before(days=settings.KEEP_PLAN_DOCUMENT_DAYS))
