from typing import Any

from apps.runtimes.api.views import RuntimeVersionViewSet, RuntimeViewSet

routes: list[tuple[str, Any, str]] = [
    ("runtimes", RuntimeViewSet, "runtime"),
    (r"runtimes/(?P<runtime_slug>[-a-zA-Z0-9_]+)/versions", RuntimeVersionViewSet, "runtime-version"),
]
