"""Who reads the whole audit log. Others read what they did and what happened in their teams, over the API."""

from apps.accounts.models import User


def reads_all(user: User) -> bool:
    return user.sees_everything
