"""A client of the API with a token."""

from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from apps.accounts.models import ApiToken
from apps.accounts.services import token_create


def token_client(user: Any, scope: str = ApiToken.Scope.WRITE) -> Client:
    made = token_create(user=user, name="t", scopes=[scope], expires_at=timezone.now() + timedelta(days=1))
    secret = next(part for part in (made if isinstance(made, tuple) else (made,)) if isinstance(part, str))
    return Client(headers={"Authorization": f"Bearer {secret}"})
