"""What accounts adds to the router: prefix, viewset, base name."""

from apps.accounts.api.views import MeViewSet, TeamViewSet, UserViewSet

routes = [("teams", TeamViewSet, "team"), ("users", UserViewSet, "user"), ("me", MeViewSet, "me")]
