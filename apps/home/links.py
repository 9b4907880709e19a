"""Addresses of pages that another app may not have yet: an entry appears when it works."""

from typing import Any

from django.urls import NoReverseMatch, reverse


def link(name: str, *args: Any) -> str:
    """The address of a named page, or nothing where there is no such page."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def environment_link(environment_id: Any) -> str:
    return link("environments:detail", environment_id)


def launch_link() -> str:
    return link("environments:launch")
