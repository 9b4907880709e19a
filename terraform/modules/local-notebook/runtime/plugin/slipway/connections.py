"""Asking Slipway for clusters and for what connects to one of them."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

SECONDS = 15
KINDS = {"dask": "Dask", "spark": "Spark"}


class ClusterError(RuntimeError):
    """Why there is no connection, and what to do."""


def clusters(kind: str = "") -> list[dict[str, Any]]:
    """The clusters of this environment's team: name, kind, status, versions, address of the page."""
    query = f"?{urllib.parse.urlencode({'kind': kind})}" if kind else ""
    return list(_ask(f"connections/{query}")["results"])


def connection(kind: str, name: str) -> dict[str, Any]:
    """What connects to the cluster of that name (or slug, or id). Raises `ClusterError`: the reason and the cure."""
    found = _chosen(kind, name, clusters(kind))
    if found["status"] != "running":
        words = str(found["status_words"]).lower()
        raise ClusterError(f"The cluster “{found['name']}” is not running ({words}). Its page: {found['page']}")
    return {**found, **_ask(f"environments/{found['id']}/connection/")}


def versions_agree(what: Mapping[str, Any], own: Mapping[str, str | None], *, exactly: tuple[str, ...]) -> None:
    """Raises `ClusterError` where the cluster runs another version of what both sides must have alike.

    Of Python major and minor version count, of the packages named in `exactly` all of it.
    """
    theirs: Mapping[str, str] = what.get("versions") or {}
    wrong = []
    for package, ours in own.items():
        cluster = theirs.get(package)
        parts = None if package in exactly else 2
        if cluster and _cut(cluster, parts) != _cut(ours or "", parts):
            wrong.append(f"{package} {cluster} there, {ours or 'none'} here")
    if wrong:
        raise ClusterError(
            f"The cluster “{what['name']}” and this environment do not run the same versions: {'; '.join(wrong)}. Give "
            f"both the same runtime: in Settings of this environment, or of the cluster ({what['page']})."
        )


def _cut(version: str, parts: int | None) -> list[str]:
    return version.split(".")[:parts]


def _chosen(kind: str, name: str, known: list[dict[str, Any]]) -> dict[str, Any]:
    title = KINDS.get(kind, kind)
    if name:
        found = [row for row in known if name in (row["name"], row["slug"], row["id"])]
    else:
        found = [row for row in known if row["status"] == "running"] or known
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"“{row['name']}”" for row in known)
    if len(found) > 1:
        slugs = ", ".join(f"“{row['slug']}” of {row['owner']} ({row['status']})" for row in found)
        raise ClusterError(f"There is more than one {title} cluster to choose from. Name one: {slugs}.")
    wanted = f"no {title} cluster “{name}”" if name else f"no {title} cluster"
    there = f"There are: {names}." if names else "Launch one from the page of environments."
    raise ClusterError(f"Your team has {wanted}. {there} {_url()}")


def _url() -> str:
    return os.environ.get("SLIPWAY_URL", "").rstrip("/") + "/environments/"


def _ask(path: str) -> dict[str, Any]:
    address, token = os.environ.get("SLIPWAY_URL", ""), os.environ.get("SLIPWAY_TOKEN", "")
    if not address or not token:
        raise ClusterError(
            "This environment does not know where Slipway is: SLIPWAY_URL and SLIPWAY_TOKEN are not set. They are in "
            "notebooks of version 1.2.0 or later: upgrade this one on its page."
        )
    request = urllib.request.Request(  # noqa: S310 - the address is Slipway's own
        f"{address.rstrip('/')}/api/v1/{path}",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
    )
    # The token is for Slipway alone: never through a proxy that the environment names for the rest of the world.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=SECONDS) as answer:
            said = json.load(answer)
    except urllib.error.HTTPError as error:
        raise ClusterError(_problem(error)) from None
    except (OSError, ValueError) as error:
        raise ClusterError(f"Slipway at {address} does not answer: {error}. Try again in a moment.") from None
    if not isinstance(said, dict):
        raise ClusterError(f"What answers at {address} is not Slipway.")
    return said


def _problem(error: urllib.error.HTTPError) -> str:
    try:
        said = json.load(error)
        text = str(said.get("detail") or said.get("title") or "")
    except (ValueError, AttributeError, OSError):
        text = ""
    return text or f"Slipway answered {error.code} {error.reason}."
