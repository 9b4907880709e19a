"""Calls that are not passed on, and how that is said so that an MLflow client prints a sentence."""

import logging

from apps.core.proxying import Headers, Reply
from apps.experiments.mlflow_rules import Reference

logger = logging.getLogger(__name__)


class Refused(Exception):
    """Carries the answer to give instead of passing the call on."""

    def __init__(self, status: int, error_code: str, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.error_code = error_code
        self.retry_after = retry_after

    def reply(self) -> Reply:
        detail = str(self)
        data: dict[str, object] = {
            "error_code": self.error_code,
            "message": detail,
            "type": "about:blank",
            "title": self.error_code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": detail,
            "code": f"experiments:{self.error_code.lower().replace('_', '-')}",
        }
        headers: Headers = [(b"www-authenticate", b'Bearer realm="Slipway"')] if self.status == 401 else []
        if self.retry_after is not None:
            headers.append((b"retry-after", str(self.retry_after).encode()))
        return Reply.json(self.status, data, headers=headers)


def server_away(reason: str) -> Refused:
    logger.warning("The MLflow server does not answer: %s", reason)
    detail = "The MLflow server does not answer at the moment. Nothing was logged by this call; it can be repeated."
    return Refused(503, "TEMPORARILY_UNAVAILABLE", detail, retry_after=5)


def absent(reference: Reference) -> Refused:
    detail = f"There is no {reference.kind} {reference.value!r}, or it is not shared with you."
    return Refused(404, "RESOURCE_DOES_NOT_EXIST", detail)
