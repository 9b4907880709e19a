from apps.catalog.api.sources import ModuleRetrievalViewSet, ModuleSourceViewSet, ModuleUploadViewSet
from apps.catalog.api.views import ModuleVersionViewSet, ModuleViewSet

routes = [
    ("modules", ModuleViewSet, "module"),
    (r"modules/(?P<module_slug>[-a-zA-Z0-9_]+)/versions", ModuleVersionViewSet, "module-version"),
    ("module-sources", ModuleSourceViewSet, "module-source"),
    ("module-retrievals", ModuleRetrievalViewSet, "module-retrieval"),
    ("module-uploads", ModuleUploadViewSet, "module-upload"),
]
