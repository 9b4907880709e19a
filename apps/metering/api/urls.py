from apps.metering.api.views import UsageViewSet

routes = [("usage", UsageViewSet, "usage")]
