"""The limits of `core.rates` at the API, so that both doors count as one."""

from typing import Any

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.core.rates import rate_check


class PersonThrottle(BaseThrottle):
    """Every call of a person, and with `?search=` every search of theirs. Raises `TooManyRequests`."""

    scope = "user"

    def allow_request(self, request: Request, view: Any) -> bool:
        if request.user and request.user.is_authenticated:
            rate_check(scope=self.scope, user_id=request.user.pk)
            if request.query_params.get("search"):
                rate_check(scope="search", user_id=request.user.pk)
        return True


class LaunchThrottle(PersonThrottle):
    """Counted before the wish is read: asking for what is refused costs as much."""

    scope = "launch"
