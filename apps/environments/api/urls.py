from apps.environments.api.views import EnvironmentViewSet

routes = [("environments", EnvironmentViewSet, "environment")]
