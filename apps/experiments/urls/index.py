from django.urls import URLPattern, path

from apps.experiments.views import hook, index

urlpatterns: list[URLPattern] = [
    path("index/", index.index, name="index"),
    path("index/progress/", index.progress, name="index-progress"),
    path("index/rebuild/", index.rebuild, name="index-rebuild"),
    path("hooks/mlflow/", hook.mlflow_hook, name="hook"),
]
