"""What is kept of sign-ins and tokens that can no longer be used; that they were made stays in the audit log."""

from datetime import datetime

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.db.models import Q, QuerySet

from apps.accounts.models import ApiToken
from apps.core.retention import before, register_prune


def register() -> None:
    register_prune("sign-ins", lambda: AccessLog.objects.filter(attempt_time__lt=_cutoff()))
    register_prune("failed sign-ins", lambda: AccessAttempt.objects.filter(attempt_time__lt=_cutoff()))
    register_prune("sign-in failures", lambda: AccessFailureLog.objects.filter(attempt_time__lt=_cutoff()))
    register_prune("unusable tokens", tokens_unusable)


def tokens_unusable() -> QuerySet[ApiToken]:
    """Expired or revoked so long ago that nobody asks any more why one was refused."""
    return ApiToken.objects.filter(Q(expires_at__lt=_cutoff()) | Q(revoked_at__lt=_cutoff()))


def _cutoff() -> datetime:
    return before(days=settings.KEEP_SIGN_IN_DAYS)
