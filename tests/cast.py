"""The people of every test: dana (member), mira (manager), pete (platform engineer), ada (auditor), mallory (stranger)."""

from dataclasses import dataclass

from django.test import Client

from apps.accounts.models import Membership, Team, User

PASSWORD = "correct horse battery staple"


@dataclass
class Cast:
    dana: User
    mira: User
    pete: User
    ada: User
    mallory: User
    vision: Team
    pricing: Team

    def user(self, name: str) -> User:
        return getattr(self, name)


def cast_make() -> Cast:
    def user(name: str, **fields: object) -> User:
        return User.objects.create_user(
            name, f"{name}@example.com", PASSWORD, first_name=name.capitalize(), last_name="Test", **fields
        )

    cast = Cast(
        dana=user("dana"),
        mira=user("mira"),
        pete=user("pete", is_platform_engineer=True),
        ada=user("ada", is_auditor=True),
        mallory=user("mallory"),
        vision=Team.objects.create(slug="vision", name="Vision"),
        pricing=Team.objects.create(slug="pricing", name="Pricing"),
    )
    Membership.objects.create(user=cast.dana, team=cast.vision)
    Membership.objects.create(user=cast.mira, team=cast.vision, role=Membership.Role.MANAGER)
    Membership.objects.create(user=cast.mallory, team=cast.pricing)
    return cast


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def bearer(secret: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
