from apps.catalog.api.views import ModuleVersionViewSet, ModuleViewSet

routes = [
    ("modules", ModuleViewSet, "module"),
    (r"modules/(?P<module_slug>[-a-zA-Z0-9_]+)/versions", ModuleVersionViewSet, "module-version"),
]
