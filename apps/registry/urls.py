from django.urls import path

from apps.registry.views import acting, comparing, listing, looking, predicting, registering, versions

app_name = "registry"

urlpatterns = [
    path("", listing.models, name="list"),
    path("register/", registering.register, name="register"),
    path("<str:name>/", looking.model, name="model"),
    path("<str:name>/alias/", acting.alias, name="alias"),
    path("<str:name>/alias/remove/", acting.alias_remove, name="alias_remove"),
    path("<str:name>/card/", acting.card, name="card"),
    path("<str:name>/description/", acting.description, name="description"),
    path("<str:name>/compare/", comparing.compare, name="compare"),
    path("<str:name>/<int:number>/", versions.version, name="version"),
    path("<str:name>/<int:number>/predict/", predicting.predict, name="predict"),
]
