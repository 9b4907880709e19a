"""Models in the audit log, whose ids of targets are shorter than a model's name may be."""

import hashlib
from types import SimpleNamespace

from apps.registry.models import RegisteredModel

ID_LENGTH = 64


class AuditTarget:
    """Stands for a model in `audit_record`."""

    _meta = SimpleNamespace(model_name="registeredmodel")

    def __init__(self, model: RegisteredModel) -> None:
        self.pk = target_id(model.name)
        self._name = model.name

    def __str__(self) -> str:
        return self._name


def target_id(name: str) -> str:
    """The name itself, or its digest where it is too long."""
    return name if len(name) <= ID_LENGTH else hashlib.blake2b(name.encode(), digest_size=24).hexdigest()
