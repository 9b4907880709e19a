"""The people of every test with a password, and browsers and tokens to act as them."""

from django.test import Client

from apps.accounts.models import User
from tests.factories import People, people_make

PASSWORD = "correct horse battery staple"

Cast = People


def cast_make() -> Cast:
    people = people_make()
    for name in ("dana", "mira", "pete", "ada", "mallory"):
        user = getattr(people, name)
        user.set_password(PASSWORD)
        user.save(update_fields=["password"])
    return people


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def bearer(secret: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
