"""What audit adds to the router: prefix, viewset, base name."""

from apps.audit.api.views import AuditEventViewSet

routes = [("audit", AuditEventViewSet, "audit")]
