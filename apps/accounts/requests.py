"""Requests of somebody who signed in, as the type checker should see them."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from apps.accounts.models import User


class SignedIn(HttpRequest):
    """What `login_required` lets through."""

    user: User
    htmx: HtmxDetails


def person_of(user: User | AnonymousUser) -> User:
    """The person behind a request that has passed authentication; anything else is a bug."""
    if not isinstance(user, User):
        raise TypeError("nobody has signed in")
    return user
