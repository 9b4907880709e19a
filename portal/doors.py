"""The ASGI applications that stand before Django, wired to the portal's models.

Each takes what it needs to know by a function, so that it can be read and tested alone; the functions that ask the
database are here. They run in a thread for a moment and give their connection back.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import SimpleCookie
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY, get_user
from django.db import close_old_connections, connections

from apps.accounts.models import User
from apps.core.events import Audience, EventStream, LiveHub
from apps.core.proxying import upstream_session_close
from apps.environments.access.application import AccessApplication
from apps.environments.access.contracts import AccessSettings, Activity, Person, Resolution, Upstream
from apps.environments.access.portal_sessions import portal_session_lives
from apps.environments.access.verify import is_verification, verification
from apps.environments.models import Environment
from apps.environments.permissions import EnvironmentPermission, can
from apps.environments.selectors import application_upstream
from apps.environments.services.activity import activity_record
from apps.experiments.doors import mlflow_application

P = ParamSpec("P")
R = TypeVar("R")


def in_database(function: Callable[P, R]) -> Any:
    """`function` as a coroutine that holds a database connection only while it runs."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        close_old_connections()
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    return sync_to_async(run, thread_sensitive=False)


def user_of_session(key: str | None) -> User | None:
    """The signed-in person of a portal session, checked as Django checks it (password changes end sessions)."""
    if not key:
        return None
    engine = import_module(settings.SESSION_ENGINE)
    request = _SessionRequest(engine.SessionStore(key))
    if SESSION_KEY not in request.session:
        return None
    user = get_user(request)  # type: ignore[arg-type]
    return user if user.is_authenticated and user.is_active else None  # type: ignore[return-value]


@dataclass
class _SessionRequest:
    session: Any


def session_key(scope: dict[str, Any]) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie":
            with contextlib.suppress(Exception):
                cookie = SimpleCookie(value.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)
                if cookie:
                    return cookie.value
    return None


@in_database
def audience_of(scope: dict[str, Any]) -> Audience | None:
    user = user_of_session(session_key(scope))
    if user is None:
        return None
    teams = set(user.memberships.values_list("team_id", flat=True))
    # Who leaves a team keeps what is their own: see `EnvironmentQuerySet.visible_to`.
    own = Environment.objects.owned_by(user).living().exclude(team__in=teams)
    return Audience(
        frozenset({f"user:{user.pk}", *(f"team:{team}" for team in teams)}),
        everything=user.sees_everything,
        topics=frozenset(environment.topic for environment in own.only("pk")),
    )


@in_database
def resolve(slug: str, person: Person | None) -> Resolution:
    """Whether there is such an environment, what serves it, and whether this person may use it now."""
    environment = (
        Environment.objects.living().select_related("workspace", "module_version", "owner").filter(slug=slug).first()
    )
    if environment is None:
        return Resolution(None)
    upstream: Upstream = application_upstream(environment)
    if person is None:
        return Resolution(upstream)
    user = User.objects.filter(pk=person.user_id, is_active=True).first()
    permitted = (
        user is not None
        and portal_session_lives(person.portal_session, user)
        and can(user, EnvironmentPermission.OPEN, environment)
    )
    return Resolution(upstream, permitted)


@in_database
def note_activity(environment_id: str, kind: Activity, open_connections: int) -> None:
    activity_record(environment_id=environment_id, kind=kind, open_connections=open_connections)


@dataclass
class Doors:
    access: AccessApplication
    events: EventStream
    mlflow: Any
    hub: LiveHub

    def is_application_host(self, scope: dict[str, Any]) -> bool:
        return self.access.serves(scope)

    def is_verification(self, scope: dict[str, Any]) -> bool:
        return is_verification(scope, on_application_host=self.access.serves(scope))

    async def verify(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        reply = await verification(self.access.gate, scope, proxy_secret=settings.ACCESS_PROXY_SECRET)
        await reply.send(send)

    async def lifespan(self, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.hub.close()
                await upstream_session_close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def doors_open() -> Doors:
    access_settings = AccessSettings(
        portal_url=settings.PORTAL_URL,
        apps_url=settings.APPS_URL,
        reserved_cookies=frozenset({settings.SESSION_COOKIE_NAME, settings.CSRF_COOKIE_NAME}),
    )
    hub = LiveHub(settings.DATABASE_URL)
    return Doors(
        access=AccessApplication(resolve, settings=access_settings, activity=note_activity),
        events=EventStream(hub, audience_of),
        mlflow=mlflow_application(in_database),
        hub=hub,
    )
