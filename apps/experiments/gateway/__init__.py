"""The portal's own calls of MLflow's REST API. Synchronous, with connections kept; the caller checks who may what.

MLflow is imported nowhere: it takes seconds, and its settings are global.
"""

import threading
from functools import lru_cache
from json import loads
from typing import TYPE_CHECKING, Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter

from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.mlflow_ownership import WORKSPACE_HEADER
from apps.experiments.mlflow_proxy import SECRET_HEADER

if TYPE_CHECKING:
    from apps.experiments.gateway.workspaces import Asked

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 20.0
_local = threading.local()


class AnswerTooLarge(Exception):
    """More than the caller wants in memory: ask for less at once."""


def credentials(workspace: str = "") -> dict[str, str]:
    """The headers by which the server knows the portal, and the workspace that is meant where it has some."""
    headers = {SECRET_HEADER: settings.MLFLOW_SERVER_SECRET} if settings.MLFLOW_SERVER_SECRET else {}
    if settings.MLFLOW_SERVER_TOKEN:
        headers["Authorization"] = f"Bearer {settings.MLFLOW_SERVER_TOKEN}"
    if workspace:
        headers[WORKSPACE_HEADER] = workspace
    return headers


def call(
    method: str,
    path: str,
    *,
    params: dict[str, Any] | None = None,
    json: dict[str, Any] | None = None,
    seconds: float = ANSWER_SECONDS,
    most_bytes: int | None = None,
    workspace: str | None = None,
) -> dict[str, Any]:
    """One call; `path` begins with a slash, without one at a noun of version 2.0: "runs/search".

    `workspace` is None for where the call belongs by what it speaks about: see `gateway.workspaces`.
    Raises `TrackerAway` where no answer came or a 5xx, `TrackerRefused` with MLflow's own sentence for a 4xx, and
    `AnswerTooLarge` where the answer has more than `most_bytes`, before it is all in memory.
    """
    path = path if path.startswith("/") else f"{V2}/{path}"
    url = settings.MLFLOW_TRACKING_URI.rstrip("/") + path
    asked = _asked(path, params, json, workspace)
    try:
        with _session().request(
            method,
            url,
            params=asked.params,
            json=asked.json,
            headers=credentials(asked.workspace),
            timeout=(CONNECT_SECONDS, seconds),
            stream=most_bytes is not None,
        ) as answer:
            body = answer.content if most_bytes is None else _bounded(answer, most_bytes)
    except requests.RequestException as error:
        raise TrackerAway(reason=type(error).__name__) from error
    if answer.status_code >= 500 or answer.status_code in (401, 403):
        raise TrackerAway(reason=f"it answered {answer.status_code}")
    try:
        data = loads(body)
    except ValueError as error:
        raise TrackerAway(reason="its answer is not JSON") from error
    if answer.status_code >= 400:
        raise TrackerRefused.by(answer.status_code, data)
    return asked.named(dict(data))


def _asked(path: str, params: dict[str, Any] | None, json: dict[str, Any] | None, workspace: str | None) -> "Asked":
    from apps.experiments.gateway.workspaces import asked_of

    return asked_of(path, params, json, workspace)


@lru_cache(maxsize=4)
def _offers(server: str, path: str) -> bool:
    try:
        answer = _session().get(server + path, headers=credentials(), timeout=(CONNECT_SECONDS, ANSWER_SECONDS))
    except requests.RequestException as error:
        raise TrackerAway(reason=type(error).__name__) from error
    if answer.status_code >= 500:
        raise TrackerAway(reason=f"it answered {answer.status_code}")
    return answer.status_code == 400


def offers(path: str) -> bool:
    """Whether the server knows an address that only ours adds to MLflow's own: it misses its parameters.

    Asked once of a server by each process. Raises `TrackerAway`.
    """
    return _offers(settings.MLFLOW_TRACKING_URI.rstrip("/"), path)


def _bounded(answer: requests.Response, most: int) -> bytes:
    parts, total = [], 0
    for part in answer.iter_content(256 * 1024):
        parts.append(part)
        total += len(part)
        if total > most:
            raise AnswerTooLarge
    return b"".join(parts)


def _session() -> requests.Session:
    """One a thread: a session is not made for several at once."""
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = requests.Session()
        # A kept connection that the server has closed meanwhile is only noticed when it is used.
        session.mount("http://", HTTPAdapter(pool_maxsize=4, max_retries=1))
        session.mount("https://", HTTPAdapter(pool_maxsize=4, max_retries=1))
        _local.session = session
    return session


def session_close(**_: object) -> None:
    """At the end of a request: a page's thread waits for the next one, and its connections need not wait with it."""
    session: requests.Session | None = getattr(_local, "session", None)
    if session is not None:
        session.close()
