"""`Idempotency-Key` on writes: a request that was answered is answered the same again, never carried out twice.

The key is a row written in the same transaction as the work. A duplicate that arrives meanwhile waits at the unique
index until the first one commits, and is then answered from the row; when the first one fails, the row goes with its
work and the duplicate does it. So a process that dies in the middle leaves neither half.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from django.db import OperationalError, connection, transaction
from django.utils.crypto import salted_hmac
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.core.exceptions import Conflict, InvalidInput, UserError
from apps.core.models import IdempotencyKey

KEY = re.compile(r"[\x21-\x7e]{1,200}")
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
WAIT_MS = 10_000
LOCK_NOT_AVAILABLE = "55P03"


class KeyInvalid(InvalidInput):
    code = "core:idempotency-key-invalid"
    title = "Idempotency-Key has 1 to 200 visible ASCII characters"


class KeyReused(UserError):
    code = "core:idempotency-key-reused"
    status = 422
    title = "This Idempotency-Key was used for another request"


class KeyBusy(Conflict):
    code = "core:idempotency-key-busy"
    title = "A request with this Idempotency-Key is still being carried out; ask again"


class IdempotentWrites:
    """Mixin for a viewset; every write of it, actions included, honours the header. Not for answers that hold a secret,
    because the answer is kept (two days)."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Runs after authentication, permission and throttle, just before DRF looks the handler up by its name."""
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method not in WRITES:
            return
        if not KEY.fullmatch(key):
            raise KeyInvalid
        name = request.method.lower()
        handler = getattr(self, name, None)
        if handler is not None:
            setattr(self, name, _once(handler, key))


def _once(handler: Callable[..., Response], key: str) -> Callable[..., Response]:
    def answer(request: Request, *args: Any, **kwargs: Any) -> Response:
        fingerprint = _fingerprint(request)
        with transaction.atomic():
            row, is_first = _claim(request.user.pk or 0, key, fingerprint)
            if not is_first:
                return _replay(row, fingerprint)
            response = handler(request, *args, **kwargs)
            if response.status_code >= 400:
                transaction.set_rollback(True)
                return response
            row.status = response.status_code
            row.body = None if response.data is None else json.loads(JSONRenderer().render(response.data))
            row.save(update_fields=["status", "body"])
        return response

    return answer


def _claim(user_id: int, key: str, fingerprint: str) -> tuple[IdempotencyKey, bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [str(WAIT_MS)])
        try:
            row = IdempotencyKey(user_id=user_id, key=key, fingerprint=fingerprint)
            made = IdempotencyKey.objects.bulk_create([row], ignore_conflicts=True)
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", "") == LOCK_NOT_AVAILABLE:
                raise KeyBusy from None
            raise
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])
    # `ignore_conflicts` does not tell who won; the row with our own id does.
    stored = IdempotencyKey.objects.get(user_id=user_id, key=key)
    return stored, stored.pk == made[0].pk


def _replay(row: IdempotencyKey, fingerprint: str) -> Response:
    if row.fingerprint != fingerprint:
        raise KeyReused
    if row.status is None:
        raise KeyBusy
    return Response(row.body, status=row.status, headers={"Idempotency-Replayed": "true"})


def _fingerprint(request: Request) -> str:
    """Of method, address and what was sent; the same JSON in another spelling is the same request."""
    sent = json.dumps(request.data, sort_keys=True, default=str)
    text = "\n".join((request.method or "", request.get_full_path(), sent))
    # Keyed: what was sent may hold a secret that could be guessed from a plain digest.
    return salted_hmac("core.idempotency", text, algorithm="sha256").hexdigest()
