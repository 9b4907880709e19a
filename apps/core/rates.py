"""Limits per person of what is costly or guessable, the same for pages and the API: 429 with `Retry-After`."""

import math
import time
from typing import Any, ClassVar

from django.conf import settings
from django.core.cache import cache

from apps.core.exceptions import UserError

PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class TooManyRequests(UserError):
    code = "core:throttled"
    status = 429
    title = "Too many requests"
    retry_after: ClassVar[int] = 60

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after  # type: ignore[misc]


def rate_check(*, scope: str, user_id: int | str | None, default: str | None = None) -> None:
    """Count one use of `scope` by a person (or, before there is one, an address).

    Raises `TooManyRequests` beyond "<number>/<s|min|hour|day>".
    The rate is that of REST_FRAMEWORK's DEFAULT_THROTTLE_RATES, so one setting holds for both doors; None is no limit.
    Windows are fixed, so that a count is one atomic increment whatever the number of web processes.
    """
    rates: Any = settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]
    rate: str | None = rates.get(scope, default)
    if not rate:
        return
    number, period = rate.split("/")
    seconds = PERIODS[period[0]]
    now = time.time()
    window = int(now // seconds)
    key = f"core:rate:{scope}:{user_id}:{window}"
    cache.add(key, 0, timeout=seconds + 1)
    try:
        used = cache.incr(key)
    except ValueError:  # The window ended between the two calls.
        return
    if used > int(number):
        wait = max(1, math.ceil((window + 1) * seconds - now))
        raise TooManyRequests("You have done this very often in a short time.", wait)
