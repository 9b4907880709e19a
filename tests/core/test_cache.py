"""The cache of a process that answers each request in a thread of its own."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.cache import cache


def in_a_thread(work: Any, *arguments: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(work, *arguments).result()


def test_requests_share_their_connections() -> None:
    pools = {id(in_a_thread(lambda: cache._cache._get_connection_pool(write=True))) for _ in range(5)}  # type: ignore[attr-defined]
    assert len(pools) == 1


def test_a_shared_connection_that_was_cut_is_made_anew() -> None:
    in_a_thread(cache.set, "shared:a", 3, 60)
    # As after a restart of Valkey: every connection is cut, and the next request is answered all the same.
    cache._cache.get_client(write=True).client_kill_filter(_type="normal", skipme=True)  # type: ignore[attr-defined]
    assert in_a_thread(cache.get, "shared:a") == 3
    in_a_thread(cache.set, "shared:a", 4, 60)
    assert in_a_thread(cache.get, "shared:a") == 4
    cache.delete("shared:a")
