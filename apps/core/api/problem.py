"""Every failure of the API as an RFC 9457 problem document with a stable `code`."""

import logging
import math
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelInvalid
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from apps.core.exceptions import UserError
from apps.core.responses import AWAY_CODE, AWAY_RETRY_S, AWAY_WORDS, DATABASE_AWAY, PROBLEM_JSON, problem

log = logging.getLogger(__name__)

CODES: dict[type[exceptions.APIException], str] = {
    exceptions.ParseError: "core:malformed",
    exceptions.NotAuthenticated: "core:sign-in-required",
    exceptions.AuthenticationFailed: "core:sign-in-failed",
    exceptions.PermissionDenied: "core:forbidden",
    exceptions.NotFound: "core:not-found",
    exceptions.MethodNotAllowed: "core:method-not-allowed",
    exceptions.NotAcceptable: "core:not-acceptable",
    exceptions.UnsupportedMediaType: "core:unsupported-media-type",
    exceptions.Throttled: "core:throttled",
}
NON_FIELD = "non_field_errors"


def problem_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None for a bug, which then is logged with its traceback and answered by handler500."""
    made = _user_error(error) or _validation(error) or _framework(error) or _database(error)
    if made is None:
        return None
    body, headers = made
    set_rollback()
    return Response(body, status=body["status"], headers=headers, content_type=PROBLEM_JSON)


def _user_error(error: Exception) -> tuple[dict[str, Any], dict[str, str]] | None:
    if not isinstance(error, UserError):
        return None
    detail = str(error)
    if error.errors and detail == error.title:
        detail = _first(error.errors) or detail
    retry_after = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return problem(error.status, error.code, detail, title=error.title, errors=error.errors), headers


def _validation(error: Exception) -> tuple[dict[str, Any], dict[str, str]] | None:
    if isinstance(error, exceptions.ValidationError):
        errors = flatten(error.detail)
    elif isinstance(error, ModelInvalid):
        errors = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD: error.messages}
        errors = {NON_FIELD if name == "__all__" else name: list(texts) for name, texts in errors.items()}
    else:
        return None
    return problem(400, "core:invalid", _first(errors), title="Some fields need another value", errors=errors), {}


def _framework(error: Exception) -> tuple[dict[str, Any], dict[str, str]] | None:
    if isinstance(error, Http404):
        error = exceptions.NotFound()
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied(str(error) or None)
    if not isinstance(error, exceptions.APIException):
        return None
    headers: dict[str, str] = {}
    if header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    if isinstance(error, exceptions.NotFound):
        # A hidden row and a missing one answer alike, to the letter.
        return problem(404, "core:not-found"), headers
    code = getattr(error, "problem_code", None) or _code(error)
    return problem(error.status_code, code, _text(error.detail)), headers


def _database(error: Exception) -> tuple[dict[str, Any], dict[str, str]] | None:
    if not isinstance(error, DATABASE_AWAY):
        return None
    log.warning("the database does not answer: %s", str(error).partition("\n")[0])
    return problem(503, AWAY_CODE, AWAY_WORDS), {"Retry-After": str(AWAY_RETRY_S)}


def _code(error: exceptions.APIException) -> str:
    # Authenticators and permissions may give a code of their own: `accounts:token-expired`.
    given = error.get_codes()
    if isinstance(given, str) and ":" in given:
        return given
    return next((code for kind, code in CODES.items() if isinstance(error, kind)), "core:bad-request")


def _text(detail: Any) -> str:
    return str(detail) if not isinstance(detail, list | dict) else _first(flatten(detail))


def _first(errors: dict[str, list[str]]) -> str:
    for name, texts in errors.items():
        for text in texts:
            return text if name == NON_FIELD else f"{name}: {text}"
    return ""


def flatten(detail: Any, prefix: str = "") -> dict[str, list[str]]:
    """Nested errors of a serializer as `{"inputs.cpu": ["…"]}`."""
    found: dict[str, list[str]] = {}
    if isinstance(detail, dict):
        for name, inner in detail.items():
            own = str(name) if name != NON_FIELD or not prefix else ""
            found |= flatten(inner, ".".join(part for part in (prefix, own) if part))
    elif isinstance(detail, list):
        texts = [str(item) for item in detail if not isinstance(item, dict | list)]
        if texts:
            found[prefix or NON_FIELD] = texts
        for index, item in enumerate(detail):
            if isinstance(item, dict | list) and item:
                found |= flatten(item, f"{prefix}.{index}" if prefix else str(index))
    else:
        found[prefix or NON_FIELD] = [str(detail)]
    return found
