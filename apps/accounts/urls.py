from django.urls import path

from apps.accounts import views

app_name = "accounts"
urlpatterns = [
    path("sign-in/", views.SignInView.as_view(), name="sign_in"),
    path("sign-out/", views.sign_out, name="sign_out"),
    path("", views.account, name="account"),
    path("profile/", views.profile_save, name="profile_save"),
    path("preferences/", views.preferences_save, name="preferences_save"),
    path("theme/", views.theme_save, name="theme"),
    path("password/", views.password, name="password"),
    path("tokens/", views.token_new, name="token_new"),
    path("tokens/<uuid:pk>/revoke/", views.token_end, name="token_revoke"),
    path("people/", views.people, name="people"),
    path("password/<uidb64>/<token>/", views.PasswordResetView.as_view(), name="password_reset"),
    path("people/<int:pk>/password-link/", views.password_link, name="password_link"),
    path("people/new/", views.person_new, name="person_new"),
    path("people/teams/new/", views.team_new, name="team_new"),
    path("people/<slug:slug>/add/", views.member_add, name="member_add"),
    path("people/<slug:slug>/members/<uuid:pk>/role/", views.member_role, name="member_role"),
    path("people/<slug:slug>/members/<uuid:pk>/remove/", views.member_remove, name="member_remove"),
]
