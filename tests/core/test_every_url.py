"""Every address of the portal: none answers a stranger without having said so, none changes anything on a GET."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.converters import IntConverter, UUIDConverter

from tests.cast import Cast, browser

# What a stranger may see; each is a decision.
OPEN = {"/healthz", "/readyz", "/metrics", "/accounts/sign-in/", "/access/verify", "/api/docs/", "/api/schema/",
        "/accounts/password/x/x/", "/mlflow/"}  # fmt: skip
# What Django's own admin holds, tested where it is made ours.
NOT_OURS = ("/admin/",)
SAMPLE = UUID("00000000-0000-4000-8000-000000000000")
WRITE = re.compile(r"^\s*(INSERT|UPDATE|DELETE|TRUNCATE)\b(?!.*\bdjango_session\b)", re.IGNORECASE | re.DOTALL)


def addresses(patterns: list[Any], prefix: str = "/") -> Iterator[str]:
    for pattern in patterns:
        path = prefix + _filled(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern):
            yield path


def _filled(pattern: Any) -> str:
    """A route with a value for every part that varies."""
    if hasattr(pattern, "_route"):
        text = str(pattern._route)
        for name, converter in pattern.converters.items():
            value = (
                SAMPLE if isinstance(converter, UUIDConverter) else 1 if isinstance(converter, IntConverter) else "x"
            )
            text = re.sub(rf"<(?:\w+:)?{name}>", str(value), text)
        return text
    text = re.sub(r"\(\?P<format>[^)]*\)/\?", "json", str(pattern._regex))
    text = re.sub(r"\(\?P<\w+>((?:[^()\[]|\[[^\]]*\]|\([^)]*\))*)\)", _value, text)
    return text.replace("^", "").replace("$", "").replace("\\.", ".").replace("\\Z", "").replace("/?", "/")


def _value(group: re.Match[str]) -> str:
    """What fits a named group: an id, or a number where an id does not."""
    return str(SAMPLE) if re.fullmatch(group[1], str(SAMPLE)) else "1"


def ours() -> list[str]:
    found = sorted(set(addresses(get_resolver().url_patterns)))
    return [path for path in found if not path.startswith(NOT_OURS)]


def test_the_walk_finds_the_portal() -> None:
    found = ours()
    assert len(found) > 40
    assert {"/", "/audit/", "/api/v1/teams/", f"/environments/{SAMPLE}/"} <= set(found)


def test_strangers_are_sent_to_sign_in_or_refused(db: None) -> None:
    wrong = {}
    for path in ours():
        answer = browser(None).get(path)
        location = answer.headers.get("Location", "")
        refused = answer.status_code in (401, 403, 405) or location.startswith("/accounts/sign-in/")
        if path not in OPEN and not refused:
            wrong[path] = (answer.status_code, location)
    assert not wrong


@pytest.mark.parametrize("name", ["dana", "pete"])
def test_reading_writes_nothing(cast: Cast, name: str) -> None:
    client, wrong = browser(getattr(cast, name)), {}
    for path in ours():
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(path)
        writes = [query["sql"][:200] for query in captured if WRITE.match(query["sql"])]
        if writes or (answer.status_code >= 500 and path != "/readyz"):
            wrong[path] = (answer.status_code, writes)
    assert not wrong
