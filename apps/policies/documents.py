"""Plans of the past, masked and encrypted, to try new policies on."""

import json
import zlib
from typing import Any

from django.utils import timezone

from apps.core.crypto import decrypt, encrypt
from apps.policies.models import PlanDocument
from apps.provisioning.models import Change

# A larger one is not kept: it would be of little use as an example and cost as much as a hundred others.
MAX_BYTES = 4 * 1024 * 1024


def plan_document_keep(*, change: Change, plan: dict[str, Any], request: dict[str, Any]) -> PlanDocument | None:
    """Keep what rules were asked about; nothing where it is too large. Planning again replaces what was kept."""
    text = json.dumps({"plan": plan, "request": request}, separators=(",", ":")).encode()
    if len(text) > MAX_BYTES:
        return None
    row, _ = PlanDocument.objects.update_or_create(
        change=change,
        defaults={
            "module_id": change.module_version.module_id,
            "cipher": encrypt(zlib.compress(text, 6)),
            "bytes": len(text),
            "planned_at": timezone.now(),
        },
    )
    return row


def plan_document_read(row: PlanDocument) -> dict[str, Any]:
    """`{plan, request}`; raises `KeyLost`."""
    found: dict[str, Any] = json.loads(zlib.decompress(decrypt(bytes(row.cipher))))
    return found
