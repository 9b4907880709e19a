"""`POST /experiments/hooks/mlflow/`: MLflow's webhooks, signed, as hints of where to look first.

MLflow tells of registered models, versions, aliases and their tags, not of runs, and names nobody; deliveries are lost
when it restarts. So nothing is believed but that something may have changed. The signature is Standard Webhooks':
`v1,base64(HMAC-SHA256(secret, "{delivery}.{timestamp}.{body}"))`.
"""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from apps.experiments import hints
from apps.experiments.mlflow_rules import Kind

TOLERANCE_SECONDS = 300
MOST_BYTES = 256 * 1024
LONGEST_NAME = 500


@csrf_exempt
@require_POST
def mlflow_hook(request: HttpRequest) -> HttpResponse:
    """204 once the hint is left; 401 without a good signature; 404 where no secret is set, so there is no such hook."""
    secret = settings.MLFLOW_WEBHOOK_SECRET
    if not secret:
        return _refused(404, "not-found", "No webhook secret is set: MLFLOW_WEBHOOK_SECRET.")
    length = request.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length[:15]) > MOST_BYTES:
        return _refused(413, "too-large", "A webhook is smaller than this.")
    body = request.body
    if not _is_signed(request, body, secret):
        return _refused(401, "signature-invalid", "The signature does not fit, or is too old.")
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return _refused(400, "invalid", "The body is not a JSON object.")
    _hint(said.get("data"))
    return HttpResponse(status=204)


def _is_signed(request: HttpRequest, body: bytes, secret: str) -> bool:
    delivery = request.headers.get("X-MLflow-Delivery-Id", "")
    stamp = request.headers.get("X-MLflow-Timestamp", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 15):
        return False
    if abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
        return False
    signed = f"{delivery}.{stamp}.".encode("utf-8", "replace") + body
    wanted = "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    given = request.headers.get("X-MLflow-Signature", "")
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _hint(data: Any) -> None:
    data = data if isinstance(data, dict) else {}
    for key, kind in (("name", Kind.REGISTERED_MODEL), ("run_id", Kind.RUN)):
        value = data.get(key)
        if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME:
            hints.leave(kind, [value.encode("utf-8", "replace").decode()])


def _refused(status: int, reason: str, detail: str) -> JsonResponse:
    problem = {"title": "The webhook is not taken", "status": status, "code": f"experiments:hook-{reason}"}
    return JsonResponse({**problem, "detail": detail}, status=status, content_type="application/problem+json")
