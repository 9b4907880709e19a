"""Every address of the portal.

Application hosts, what lies below `/mlflow/`, and `/events/` are answered before Django: see asgi.py.
"""

from typing import Any

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import DefaultRouter

from apps.accounts.api.urls import routes as account_routes
from apps.audit.api.urls import routes as audit_routes
from apps.catalog.api.urls import routes as catalog_routes
from apps.core import views as core
from apps.environments.api.urls import routes as environment_routes
from apps.experiments.api.urls import routes as experiment_routes
from apps.experiments.views.linked import linked
from apps.metering.api.urls import routes as metering_routes
from apps.policies.api.urls import routes as policy_routes
from apps.provisioning.api.urls import routes as provisioning_routes
from apps.registry.api.urls import routes as registry_routes
from apps.runtimes.api.urls import routes as runtime_routes
from apps.variable_sets.api.urls import routes as variable_set_routes

routes: list[tuple[str, Any, str]] = [
    *account_routes,
    *audit_routes,
    *catalog_routes,
    *environment_routes,
    *experiment_routes,
    *metering_routes,
    *policy_routes,
    *provisioning_routes,
    *registry_routes,
    *runtime_routes,
    *variable_set_routes,
]
router = DefaultRouter()
router.include_format_suffixes = False
for prefix, viewset, basename in routes:
    router.register(prefix, viewset, basename)

urlpatterns = [
    path("healthz", core.healthz, name="healthz"),
    path("readyz", core.readyz, name="readyz"),
    path("metrics", core.metrics, name="metrics"),
    path("", include("apps.home.urls")),
    path("accounts/", include("apps.accounts.urls")),
    path("environments/", include("apps.environments.urls")),
    path("experiments/", include("apps.experiments.urls")),
    path("mlflow/", linked, name="mlflow-linked"),
    path("models/", include("apps.registry.urls")),
    path("modules/", include("apps.catalog.urls")),
    path("policies/", include("apps.policies.urls")),
    path("runtimes/", include("apps.runtimes.urls")),
    path("variable-sets/", include("apps.variable_sets.urls")),
    path("inbox/", include("apps.notifications.urls")),
    path("audit/", include("apps.audit.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include(router.urls)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    # Its script comes from an address of its own: the content security policy allows no inline script.
    path(
        "api/docs/",
        SpectacularSwaggerSplitView.as_view(url_name="schema", template_name="api_docs.html"),
        name="api-docs",
    ),
]

handler400 = core.bad_request
handler403 = core.permission_denied
handler404 = core.page_not_found
handler500 = core.server_error
