"""Rows for tests: people, teams, the published notebook module, and environments made by the real services.

Imported inside tests and fixtures only, because Django is set up after this package is found.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import factory

from apps.accounts.models import Membership, Team, User
from apps.catalog.models import ModuleVersion
from apps.catalog.services import module_register
from apps.environments.models import Environment
from apps.environments.services import environment_launch
from apps.provisioning.models import Change, Machine, ServiceStatus
from apps.provisioning.transitions import change_fail, change_transition

NOTEBOOK = Path(__file__).parents[1] / "terraform" / "modules" / "local-notebook"
NOTEBOOK_VERSION = next(
    line.removeprefix("version: ")
    for line in (NOTEBOOK / "module.yaml").read_text(encoding="utf-8").splitlines()
    if line.startswith("version: ")
)


class UserFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda number: f"person{number}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    first_name = factory.LazyAttribute(lambda user: user.username.capitalize())


class TeamFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Team
        django_get_or_create = ("slug",)

    slug = factory.Sequence(lambda number: f"team{number}")
    name = factory.LazyAttribute(lambda team: team.slug.capitalize())


class MembershipFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    team = factory.SubFactory(TeamFactory)
    role = Membership.Role.MEMBER


class MachineFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = Machine

    name = factory.Sequence(lambda number: f"machine{number}")


class ServiceStatusFactory(factory.django.DjangoModelFactory):
    class Meta:
        model = ServiceStatus

    name = "jupyterlab"
    status = "running"
    memory_limit_bytes = 2 * 2**30


@dataclass(frozen=True)
class People:
    """dana: member, mira: manager of vision and churn; pete: platform engineer; ada: auditor; mallory: a stranger."""

    dana: User
    mira: User
    pete: User
    ada: User
    mallory: User
    vision: Team
    churn: Team
    pricing: Team


def people_make() -> People:
    people = People(
        dana=UserFactory(username="dana"),
        mira=UserFactory(username="mira"),
        pete=UserFactory(username="pete", is_platform_engineer=True),
        ada=UserFactory(username="ada", is_auditor=True),
        mallory=UserFactory(username="mallory"),
        vision=TeamFactory(slug="vision"),
        churn=TeamFactory(slug="churn"),
        pricing=TeamFactory(slug="pricing"),
    )
    for team in (people.vision, people.churn):
        MembershipFactory(user=people.dana, team=team)
        MembershipFactory(user=people.mira, team=team, role=Membership.Role.MANAGER)
    MembershipFactory(user=people.mallory, team=people.pricing)
    return people


@cache
def _notebook_columns() -> dict[str, Any]:
    """What registering the module stores; parsing it takes a second, so once for a run."""
    version = module_register(path=NOTEBOOK, actor=None)
    names = ("version", "source", "commit", "digest", "interface", "readme", "archive")
    columns = {name: getattr(version, name) for name in names}
    module = {name: getattr(version.module, name) for name in ("slug", "title", "summary", "kind", "target", "icon")}
    return {"version": columns, "module": module}


def notebook_version(**fields: Any) -> ModuleVersion:
    """The real notebook module as published; `fields` make another version of it."""
    from apps.catalog.models import Module

    columns = _notebook_columns()
    module, _ = Module.objects.get_or_create(slug=columns["module"]["slug"], defaults=columns["module"])
    values = {**columns["version"], **fields}
    version, _ = ModuleVersion.objects.get_or_create(module=module, version=values.pop("version"), defaults=values)
    module.latest_version = version
    module.save(update_fields=["latest_version"])
    return version


def environment_make(people: People, *, owner: User | None = None, name: str = "nb", **wish: Any) -> Environment:
    """Launched by the real service: in line, with its first change."""
    wish.setdefault("team", people.vision)
    version = wish.pop("module_version", None) or notebook_version()
    return environment_launch(actor=owner or people.dana, name=name, module_version=version, **wish)


def environment_running(people: People, **wish: Any) -> Environment:
    """Launched, and its first change driven to its end as an agent would."""
    environment = environment_make(people, **wish)
    change_drive(change_of(environment))
    environment.refresh_from_db()
    return environment


def change_of(environment: Environment) -> Change:
    """The newest change."""
    return Change.objects.filter(workspace_id=environment.pk).select_related("workspace").latest("created_at")


STEPS = ("planning", "planned", "applying", "applied")


def change_drive(change: Change, to: str = "applied", **fields: Any) -> Change:
    """Move a change along the usual way until `to`; a failure happens where the change stands then."""
    if to == "failed":
        assert change_fail(change, code=fields.pop("code"), summary="It failed", detail=fields.pop("detail", ""))
        return change
    for status in STEPS[: STEPS.index(to) + 1] if to in STEPS else (to,):
        if status == change.status or (
            status in STEPS and change.status in STEPS and STEPS.index(status) < STEPS.index(change.status)
        ):
            continue
        assert change_transition(change, status, **(fields if status == to else {}))
    return change
