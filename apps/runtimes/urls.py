from django.urls import path

from apps.runtimes import views

app_name = "runtimes"

urlpatterns = [
    path("", views.runtimes, name="list"),
    path("new/", views.new, name="new"),
    path("<slug:slug>/", views.runtime, name="runtime"),
    path("<slug:slug>/requirements/", views.requirements, name="requirements"),
    path("<slug:slug>/title/", views.describe, name="describe"),
    path("<slug:slug>/<int:number>/", views.version, name="version"),
    path("<slug:slug>/<int:number>/deprecate/", views.deprecate, name="deprecate"),
    path("<slug:slug>/<int:number>/restore/", views.restore, name="restore"),
    path("<slug:slug>/<int:number>/retry/", views.retry, name="retry"),
]
