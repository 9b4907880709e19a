"""The cache as something that may be missing: when Valkey is down or hangs, pages go on without it.

Nothing is kept only here. A value that cannot be read counts as absent, one that cannot be written is not kept, and
`add`, which decides who comes first, says no: a one-time ticket is then refused rather than accepted twice.
"""

import logging
import time
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as Silent

log = logging.getLogger(__name__)
R = TypeVar("R")

# After a failure nobody asks again for so long, so that a page that asks five times does not wait five times.
REST_S = 2.0


_clients: dict[Hashable, RedisCacheClient] = {}


class ForgivingRedisCache(RedisCache):
    """Django's Redis cache whose outages are misses."""

    resting_until = 0.0
    # Django's, which its stubs leave out.
    _servers: list[str]
    _options: dict[str, Any]
    _class: type[RedisCacheClient]

    @cached_property
    def _cache(self) -> RedisCacheClient:
        """One client and its pool for the process: Django makes a cache for each thread, so for each request."""
        asked = (tuple(self._servers), tuple(sorted(self._options.items())))
        if asked not in _clients:
            # Of two threads that come at once, both use the one that was first.
            _clients.setdefault(asked, self._class(self._servers, **self._options))
        return _clients[asked]

    def _ask(self, ask: Callable[[], R], otherwise: R) -> R:
        if time.monotonic() < ForgivingRedisCache.resting_until:
            return otherwise
        try:
            return ask()
        except (Unreachable, Silent, OSError) as error:
            # Of the class: Django makes one instance for each thread.
            ForgivingRedisCache.resting_until = time.monotonic() + REST_S
            log.warning("the cache does not answer (%s)", type(error).__name__)
            return otherwise

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._ask(lambda: super(ForgivingRedisCache, self).add(key, value, timeout, version), False)

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self._ask(lambda: super(ForgivingRedisCache, self).get(key, default, version), default)

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        self._ask(lambda: super(ForgivingRedisCache, self).set(key, value, timeout, version), None)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._ask(lambda: super(ForgivingRedisCache, self).touch(key, timeout, version), False)

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._ask(lambda: super(ForgivingRedisCache, self).delete(key, version), False)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self._ask(lambda: super(ForgivingRedisCache, self).has_key(key, version), False)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Raises ValueError, as for a key that is not there, when nobody answers."""
        counted: int | None = self._ask(lambda: super(ForgivingRedisCache, self).incr(key, delta, version), None)
        if counted is None:
            raise ValueError(f"Key {key!r} cannot be counted")
        return counted

    def get_many(self, keys: Any, version: int | None = None) -> dict[Any, Any]:
        return self._ask(lambda: super(ForgivingRedisCache, self).get_many(keys, version), {})
