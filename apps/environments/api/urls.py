from apps.environments.api.connections import ClusterViewSet, ConnectionViewSet
from apps.environments.api.rollouts import RolloutViewSet
from apps.environments.api.views import EnvironmentViewSet

routes = [
    ("environments", EnvironmentViewSet, "environment"),
    (r"environments/(?P<pk>[0-9a-fA-F-]{32,36})/connection", ConnectionViewSet, "environment-connection"),
    ("connections", ClusterViewSet, "connection"),
    ("rollouts", RolloutViewSet, "rollout"),
]
