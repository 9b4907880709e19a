import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from apps.accounts import registry
from apps.accounts.exceptions import AccountInvalid, TokenLimit
from apps.accounts.models import ApiToken, User

PREFIX = "slw_"
SHOWN = len(PREFIX) + 6
SECRET_BYTES = 32
LONGEST = timedelta(days=366)
MOST_TOKENS = 50
TOUCH_EVERY = timedelta(minutes=1)


def _secret() -> str:
    return PREFIX + secrets.token_urlsafe(SECRET_BYTES)


def token_create(*, user: User, name: str, scopes: Sequence[str], expires_at: datetime | None) -> tuple[ApiToken, str]:
    """A personal token and its secret, which is nowhere kept and can be shown this once only.

    Raises `AccountInvalid` with the fields; a personal token always expires, at most a year from now.
    """
    errors: dict[str, list[str]] = {}
    now, name = timezone.now(), name.strip()
    if not name or len(name) > 80 or not name.isprintable():
        errors["name"] = ["Give a name of 1 to 80 characters that says where the token is used."]
    if not scopes or set(scopes) - set(ApiToken.PERSONAL_SCOPES):
        errors["scopes"] = [f"Choose from {', '.join(ApiToken.PERSONAL_SCOPES)}."]
    if expires_at is None or not now < expires_at <= now + LONGEST:
        errors["expires_at"] = ["Choose a time within the next year."]
    if errors:
        raise AccountInvalid(errors=errors)
    secret = _secret()
    with transaction.atomic():
        # The person's row is the lock that makes the count below true.
        User.objects.select_for_update(of=("self",)).get(pk=user.pk)
        if ApiToken.objects.visible_to(user).usable().count() >= MOST_TOKENS:
            raise TokenLimit
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=secret[:SHOWN],
            digest=ApiToken.digest_of(secret),
            scopes=sorted(set(scopes)),
            expires_at=expires_at,
        )
        registry.record(
            action="accounts:token:created",
            actor=user,
            target=token,
            after={"name": name, "scopes": token.scopes, "expires_at": expires_at.isoformat() if expires_at else None},
        )
    return token, secret


def token_revoke(*, token: ApiToken, actor: User) -> None:
    """End a token at once; a second time does nothing."""
    with transaction.atomic():
        changed = ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=timezone.now())
        if changed:
            registry.record(action="accounts:token:revoked", actor=actor, target=token, before={"name": token.name})


def token_create_for_environment(*, user: User, environment_id: UUID, name: str) -> str:
    """The secret of an environment's own token, alive until the environment is destroyed.

    It tracks with MLflow, and connects to clusters of the environment's team.
    """
    secret = _secret()
    ApiToken.objects.create(
        user=user,
        name=name[:80],
        prefix=secret[:SHOWN],
        digest=ApiToken.digest_of(secret),
        scopes=[ApiToken.Scope.CONNECT, ApiToken.Scope.MLFLOW],
        environment_id=environment_id,
    )
    return secret


def tokens_revoke_for_environment(*, environment_id: UUID) -> int:
    """End every token of an environment; returns how many were alive."""
    return ApiToken.objects.filter(environment_id=environment_id, revoked_at=None).update(revoked_at=timezone.now())


def token_find(secret: str) -> ApiToken | None:
    """The token of a secret, usable or not, with its person."""
    if not secret.startswith(PREFIX) or len(secret) > 100 or not secret.isascii():
        return None
    return ApiToken.objects.select_related("user").filter(digest=ApiToken.digest_of(secret)).first()


def token_authenticate(secret: str) -> ApiToken | None:
    """The token, if it may be used now; notes that it was, at most once a minute."""
    token = token_find(secret)
    if token is None or not token.is_usable or not token.user.is_active:
        return None
    token_touch(token)
    return token


def token_touch(token: ApiToken) -> None:
    """Note the use; a busy token writes its row once a minute, not with every request."""
    now = timezone.now()
    stale = now - TOUCH_EVERY
    if token.last_used_at is None or token.last_used_at < stale:
        rows = ApiToken.objects.filter(Q(last_used_at=None) | Q(last_used_at__lt=stale), pk=token.pk)
        rows.update(last_used_at=now)
