from apps.provisioning.api.views import ChangeViewSet

routes = [("changes", ChangeViewSet, "change")]
