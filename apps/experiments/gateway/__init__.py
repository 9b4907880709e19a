"""The portal's own calls of MLflow's REST API. Synchronous, with connections kept; the caller checks who may what.

MLflow is imported nowhere: it takes seconds, and its settings are global.
"""

import threading
from json import loads
from typing import Any

import requests
from django.conf import settings
from requests.adapters import HTTPAdapter

from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.mlflow_proxy import SECRET_HEADER

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
CONNECT_SECONDS, ANSWER_SECONDS = 3.0, 20.0
_local = threading.local()


class AnswerTooLarge(Exception):
    """More than the caller wants in memory: ask for less at once."""


def credentials() -> dict[str, str]:
    """The headers by which the server knows the portal."""
    headers = {SECRET_HEADER: settings.MLFLOW_SERVER_SECRET} if settings.MLFLOW_SERVER_SECRET else {}
    if settings.MLFLOW_SERVER_TOKEN:
        headers["Authorization"] = f"Bearer {settings.MLFLOW_SERVER_TOKEN}"
    return headers


def call(
    method: str,
    path: str,
    *,
    params: dict[str, Any] | None = None,
    json: dict[str, Any] | None = None,
    seconds: float = ANSWER_SECONDS,
    most_bytes: int | None = None,
) -> dict[str, Any]:
    """One call; `path` begins with a slash, without one at a noun of version 2.0: "runs/search".

    Raises `TrackerAway` where no answer came or a 5xx, `TrackerRefused` with MLflow's own sentence for a 4xx, and
    `AnswerTooLarge` where the answer has more than `most_bytes`, before it is all in memory.
    """
    path = path if path.startswith("/") else f"{V2}/{path}"
    url = settings.MLFLOW_TRACKING_URI.rstrip("/") + path
    try:
        with _session().request(
            method,
            url,
            params=params,
            json=json,
            headers=credentials(),
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
    return dict(data)


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
