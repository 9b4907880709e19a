from django.urls import path

from apps.catalog.views import modules, registering, sources, versions

app_name = "catalog"

urlpatterns = [
    path("", modules.modules, name="list"),
    path("register/", registering.register, name="register"),
    path("register/upload/", registering.upload, name="register_upload"),
    path("register/own/", registering.own, name="register_own"),
    path("register/own/folder/", registering.own_register, name="register_own_folder"),
    path("sources/", sources.sources, name="sources"),
    path("sources/<uuid:pk>/", sources.source, name="source"),
    path("sources/<uuid:pk>/part/", sources.part, name="source_part"),
    path("sources/<uuid:pk>/retrieve/", sources.retrieve, name="source_retrieve"),
    path("sources/<uuid:pk>/edit/", sources.edit, name="source_edit"),
    path("sources/<uuid:pk>/remove/", sources.remove, name="source_remove"),
    path("<slug:slug>/", modules.module, name="module"),
    path("<slug:slug>/versions/<str:version>/", versions.version, name="version"),
    path("<slug:slug>/versions/<str:version>/part/", versions.part, name="version_part"),
    *(
        path(f"<slug:slug>/versions/<str:version>/{verb}/", versions.act, {"verb": verb}, name=f"version_{verb}")
        for verb in ("check", "publish", "deprecate", "revoke", "restore")
    ),
]
