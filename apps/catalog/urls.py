from django.urls import path

from apps.catalog import views

app_name = "catalog"

urlpatterns = [
    path("", views.modules, name="list"),
    path("<slug:slug>/", views.module, name="module"),
]
