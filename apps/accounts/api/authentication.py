"""Bearer tokens at the REST API: who calls, and how far the token reaches."""

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from apps.accounts.models import ApiToken, User
from apps.accounts.services import token_find, token_touch

REALM = 'Bearer realm="Slipway"'


class TokenAuthentication(BaseAuthentication):
    """`Authorization: Bearer slw_…`; `request.auth` is the token."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != b"bearer":
            return None
        token = token_find(words[1].decode("latin-1")) if len(words) == 2 else None
        if token is None or token.revoked_at is not None or not token.user.is_active:
            raise exceptions.AuthenticationFailed(
                "No such token, or it was revoked. Make one in your account.", "accounts:token-unknown"
            )
        if not token.is_usable:
            raise exceptions.AuthenticationFailed(
                "This token has expired. Make a new one in your account.", "accounts:token-expired"
            )
        token_touch(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return REALM


class BrowserSession(SessionAuthentication):
    """The session of a signed-in browser; writes want its CSRF token in `X-CSRFToken`.

    The check is given Django's request: REST framework's would parse the body, and complain of it, before anybody knows
    who asks.
    """

    def enforce_csrf(self, request: Request) -> None:
        super().enforce_csrf(request._request)


class TokenScope(BasePermission):
    """A read token reads, a write token also writes; a token for MLflow, an environment's own among them, does neither.

    A signed-in browser session has no scope and is not limited here.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        scopes = set() if token.environment_id else set(token.scopes)
        wanted = {ApiToken.Scope.WRITE} | ({ApiToken.Scope.READ} if request.method in SAFE_METHODS else set())
        if scopes & wanted:
            return True
        raise exceptions.PermissionDenied(
            f"This token reaches no further than {', '.join(token.scopes)}.", "accounts:token-scope"
        )


class ConnectScope(TokenScope):
    """As `TokenScope`; besides, an environment's own token with the scope “connect” reads.

    Where a view `gives_secrets`, a read token of a person does not do: it could act with what it reads.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        if token.environment_id and ApiToken.Scope.CONNECT in token.scopes and request.method in SAFE_METHODS:
            return True
        if getattr(view, "gives_secrets", False) and not token.environment_id:
            if ApiToken.Scope.WRITE in token.scopes:
                return True
            raise exceptions.PermissionDenied(
                "A connection is more than reading: this takes a token of scope write.", "accounts:token-scope"
            )
        return super().has_permission(request, view)


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.api.authentication.BrowserSession"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME}


class TokenScheme(OpenApiAuthenticationExtension):
    target_class = "apps.accounts.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "A token of the account page or `manage.py token`."}
