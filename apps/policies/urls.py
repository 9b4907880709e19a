from django.urls import path

from apps.policies import views

app_name = "policies"

urlpatterns = [
    path("", views.policies, name="list"),
    path("new/", views.policy_new, name="new"),
    path("<slug:slug>/", views.policy, name="policy"),
]
