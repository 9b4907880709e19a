from django.urls import path

from apps.environments.views import acting, changes, detail, launching, listing, opening, settings, upgrading

app_name = "environments"

urlpatterns = [
    path("", listing.environments, name="list"),
    path("launch/", launching.launch, name="launch"),
    path("launch/<slug:module>/", launching.launch_module, name="launch_module"),
    path("open/<slug:slug>/", opening.open_slug, name="open_slug"),
    path("<uuid:pk>/", detail.detail, name="detail"),
    path("<uuid:pk>/row/", listing.row, name="row"),
    path("<uuid:pk>/part/<slug:name>/", detail.fragment, name="fragment"),
    path("<uuid:pk>/logs/", detail.logs, name="logs"),
    path("<uuid:pk>/log/", detail.log_lines_after, name="log_lines"),
    path("<uuid:pk>/log/download/", detail.log_download, name="log_download"),
    path("<uuid:pk>/resources/", detail.resources, name="resources"),
    path("<uuid:pk>/settings/", detail.settings, name="settings"),
    path("<uuid:pk>/open/", opening.open_application, name="open"),
    path("<uuid:pk>/open/waiting/", opening.waiting, name="waiting"),
    path("<uuid:pk>/start/", acting.start, name="start"),
    path("<uuid:pk>/stop/", acting.stop, name="stop"),
    path("<uuid:pk>/extend/", acting.extend, name="extend"),
    path("<uuid:pk>/retry/", acting.retry, name="retry"),
    path("<uuid:pk>/refresh/", acting.refresh, name="refresh"),
    path("<uuid:pk>/reconcile/", acting.reconcile, name="reconcile"),
    path("<uuid:pk>/upgrade/", upgrading.upgrade, name="upgrade"),
    path("<uuid:pk>/update/", settings.update, name="update"),
    path("<uuid:pk>/destroy/", acting.destroy, name="destroy"),
    path("<uuid:pk>/changes/<uuid:change_id>/", changes.change, name="change"),
    path("<uuid:pk>/changes/<uuid:change_id>/part/", changes.change_fragment, name="change_fragment"),
    path("<uuid:pk>/changes/<uuid:change_id>/apply/", changes.change_approve, name="change_approve"),
    path("<uuid:pk>/changes/<uuid:change_id>/discard/", changes.change_reject, name="change_reject"),
    path("<uuid:pk>/changes/<uuid:change_id>/cancel/", changes.change_cancel, name="change_cancel"),
    path("<uuid:pk>/changes/<uuid:change_id>/end/", changes.change_kill, name="change_kill"),
]
