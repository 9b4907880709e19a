"""Writes to people, teams and tokens: atomic, validated, recorded."""

from apps.accounts.services.people import (
    password_change,
    password_reset,
    password_reset_link,
    preferences_update,
    sign_in_record,
    user_create,
    user_update,
)
from apps.accounts.services.teams import membership_add, membership_change, membership_remove, person_find, team_create
from apps.accounts.services.tokens import (
    token_authenticate,
    token_create,
    token_create_for_environment,
    token_find,
    token_revoke,
    token_touch,
    tokens_revoke_for_environment,
)

__all__ = [
    "membership_add",
    "membership_change",
    "membership_remove",
    "password_change",
    "password_reset",
    "password_reset_link",
    "person_find",
    "preferences_update",
    "sign_in_record",
    "team_create",
    "token_authenticate",
    "token_create",
    "token_create_for_environment",
    "token_find",
    "token_revoke",
    "token_touch",
    "tokens_revoke_for_environment",
    "user_create",
    "user_update",
]
