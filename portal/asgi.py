"""What answers a request: application hosts, the MLflow route and the live stream before Django, then Django."""

import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings.dev")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from portal.doors import doors_open  # noqa: E402  (needs the settings above)

doors = doors_open()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await doors.lifespan(receive, send)
    elif doors.is_application_host(scope):
        await doors.access(scope, receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4404})
    elif scope["path"].startswith("/mlflow/"):
        await doors.mlflow(scope, receive, send)
    elif scope["path"] == "/events/":
        await doors.events(scope, receive, send)
    else:
        await django_application(scope, receive, send)
