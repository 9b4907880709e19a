"""What answers a request: application hosts, the MLflow route and the live stream before Django, then Django."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")

import django

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402  (the settings are named above)

from apps.core.headers import with_headers  # noqa: E402
from apps.core.limits import head_refusal, limited  # noqa: E402
from portal.doors import doors_open  # noqa: E402
from portal.handler import OneThreadHandler  # noqa: E402

doors = doors_open()
_hsts = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload" if settings.SECURE_HSTS_SECONDS else ""
_pages = limited(OneThreadHandler())


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Application hosts answer for themselves; everything of the portal's own host carries its headers."""
    if scope["type"] == "lifespan":
        await doors.lifespan(receive, send)
    elif scope["type"] == "http" and (refused := head_refusal(scope)):
        await with_headers(refused.answer, hsts=_hsts)(scope, receive, send)
    elif doors.is_verification(scope):
        await _verification(scope, receive, send)
    elif doors.is_application_host(scope):
        await doors.access(scope, receive, send)
    else:
        await _portal(scope, receive, send)


async def _own(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4404})
    elif scope["path"].startswith("/mlflow/") and scope["path"] != "/mlflow/":
        await doors.mlflow(scope, receive, send)
    elif scope["path"] == "/events/":
        await doors.events(scope, receive, send)
    else:
        await _pages(scope, receive, send)


_portal = with_headers(_own, hsts=_hsts)
_verification = with_headers(doors.verify, hsts=_hsts)
