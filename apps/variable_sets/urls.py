from django.urls import path

from apps.variable_sets import views

app_name = "variable_sets"

urlpatterns = [
    path("", views.sets, name="list"),
    path("new/", views.new, name="new"),
    path("counting/", views.counting, name="counting"),
    path("<uuid:pk>/", views.detail, name="detail"),
    path("<uuid:pk>/edit/", views.edit, name="edit"),
    path("<uuid:pk>/delete/", views.delete, name="delete"),
    path("<uuid:pk>/variables/new/", views.variable_new, name="variable_new"),
    path("<uuid:pk>/variables/<uuid:variable_id>/", views.variable_edit, name="variable_edit"),
    path("<uuid:pk>/variables/<uuid:variable_id>/delete/", views.variable_remove, name="variable_delete"),
]
