from django.urls import path

from apps.policies import views

app_name = "policies"

urlpatterns = [
    path("", views.policies, name="list"),
    path("new/", views.policy_new, name="new"),
    path("inputs/", views.input_policies, name="input_policies"),
    path("inputs/<slug:module>/", views.input_policy, name="input_policy"),
    path("<slug:slug>/", views.policy, name="policy"),
    path("<slug:slug>/edit/", views.policy_edit, name="edit"),
    path("<slug:slug>/settings/", views.policy_settings, name="settings"),
    path("<slug:slug>/enable/", views.enable, name="enable"),
    path("<slug:slug>/disable/", views.disable, name="disable"),
    path("<slug:slug>/versions/<int:number>/", views.version, name="version"),
]
