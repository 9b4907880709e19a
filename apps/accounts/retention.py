"""What is kept of sign-ins and tokens that can no longer be used; that they were made stays in the audit log."""

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.db.models import Q, QuerySet

from apps.accounts.models import ApiToken
from apps.core.retention import before, register_prune


def register() -> None:
    for name, model in (
        ("sign-ins", AccessLog),
        ("failed sign-ins", AccessAttempt),
        ("sign-in failures", AccessFailureLog),
    ):
        register_prune(
            name, lambda model=model: model.objects.filter(attempt_time__lt=before(days=settings.KEEP_SIGN_IN_DAYS))
        )
    register_prune("unusable tokens", tokens_unusable)


def tokens_unusable() -> QuerySet[ApiToken]:
    """Expired or revoked so long ago that nobody asks any more why one was refused."""
    cutoff = before(days=settings.KEEP_SIGN_IN_DAYS)
    return ApiToken.objects.filter(Q(expires_at__lt=cutoff) | Q(revoked_at__lt=cutoff))
