"""Pages of signing in, of one's own account and of people."""

from apps.accounts.views.account import (
    account,
    password,
    preferences_save,
    profile_save,
    theme_save,
    token_end,
    token_new,
)
from apps.accounts.views.people import member_add, member_remove, member_role, people, person_new, team_new
from apps.accounts.views.reset import PasswordResetView, password_link
from apps.accounts.views.session import SignInView, locked_out, sign_out

__all__ = [
    "PasswordResetView",
    "SignInView",
    "account",
    "locked_out",
    "member_add",
    "member_remove",
    "member_role",
    "password",
    "password_link",
    "people",
    "person_new",
    "preferences_save",
    "profile_save",
    "sign_out",
    "team_new",
    "theme_save",
    "token_end",
    "token_new",
]
