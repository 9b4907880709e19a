"""Addresses of pages that another app may not have yet: an entry appears when it works."""

from functools import lru_cache
from typing import Any

from django.urls import NoReverseMatch, reverse


@lru_cache(maxsize=1024)
def link(name: str, *args: Any) -> str:
    """The address of a named page, or nothing where there is no such page; a shell shows thirty."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def environment_link(environment_id: Any) -> str:
    return link("environments:detail", environment_id)


def launch_link() -> str:
    return link("environments:launch")
