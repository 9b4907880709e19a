"""The demo workspace: people, teams and modules. Running it again adds what is missing and changes nothing else."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from apps.accounts.models import Membership, Team, User
from apps.accounts.services import membership_add, team_create, user_create
from apps.catalog.services import module_register
from apps.experiments.demo.studies import STUDIES
from apps.registry.models import AliasMove
from apps.registry.services.aliases import alias_set
from apps.registry.services.indexing import registry_touch
from apps.runtimes.services import runtime_seed


@dataclass(frozen=True)
class SeededRuntime:
    """A Python environment that comes with Slipway; `folder` is where a module keeps its requirements and lock."""

    slug: str
    title: str
    summary: str
    folder: str


RUNTIMES = (
    SeededRuntime(
        "python-3-11-scikit-learn",
        "Python 3.11 · scikit-learn",
        "JupyterLab, scikit-learn, pandas, matplotlib and the MLflow client.",
        "local-notebook/runtime",
    ),
)
MEMBER, MANAGER = Membership.Role.MEMBER, Membership.Role.MANAGER


@dataclass(frozen=True)
class DemoPerson:
    username: str
    first_name: str
    last_name: str
    roles: dict[str, str]
    is_platform_engineer: bool = False
    is_auditor: bool = False


TEAMS = {"vision": "Vision", "churn": "Churn", "pricing": "Pricing"}
PEOPLE = (
    DemoPerson("pete", "Pete", "Novak", {}, is_platform_engineer=True),
    DemoPerson("ada", "Ada", "Lindqvist", {}, is_auditor=True),
    DemoPerson("mira", "Mira", "Okafor", {"vision": MANAGER, "churn": MANAGER}),
    DemoPerson("dana", "Dana", "Reyes", {"vision": MEMBER, "churn": MEMBER}),
    DemoPerson("mallory", "Mallory", "Keane", {"pricing": MEMBER}),
)


def people_seed(password_file: Path) -> User:
    """The cast and their teams; returns the platform engineer.

    All share one generated password, kept in a file that only the owner of the portal reads. A lost file is made anew,
    and then every demo person gets the new password.
    """
    kept = _password_read(password_file)
    password = kept or secrets.token_urlsafe(12)
    with transaction.atomic():
        users = {person.username: _person(person, password, reset=kept is None) for person in PEOPLE}
        teams = {slug: _team(slug, name) for slug, name in TEAMS.items()}
        for person in PEOPLE:
            for slug, role in person.roles.items():
                if not Membership.objects.filter(team=teams[slug], user=users[person.username]).exists():
                    membership_add(team=teams[slug], user=users[person.username], role=role, actor=None)
    if kept is None:
        # After the commit: whoever sees the file can sign in with it.
        _password_write(password_file, password)
    return users["pete"]


def _person(person: DemoPerson, password: str, *, reset: bool) -> User:
    user = User.objects.filter(username=person.username).first()
    if user is None:
        return user_create(
            actor=None,
            username=person.username,
            password=password,
            first_name=person.first_name,
            last_name=person.last_name,
            email=f"{person.username}@example.com",
            is_platform_engineer=person.is_platform_engineer,
            is_auditor=person.is_auditor,
        )
    if reset:
        user.set_password(password)
        user.save(update_fields=["password"])
    return user


def _team(slug: str, name: str) -> Team:
    return Team.objects.filter(slug=slug).first() or team_create(actor=None, slug=slug, name=name)


def _password_read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def _password_write(path: Path, password: str) -> None:
    """Whole or not at all, and never readable by others, not even for a moment."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(password + "\n")
    draft.replace(path)


def modules_seed(folder: Path, actor: User | None) -> list[str]:
    """Register the version that each module directory declares; returns what was registered or there already."""
    return [str(module_register(path=path.parent, actor=actor)) for path in sorted(folder.glob("*/module.yaml"))]


def runtimes_seed(folder: Path) -> list[str]:
    """The Python environments that come with the modules below `folder`, where those modules are."""
    return [
        str(
            runtime_seed(
                slug=seed.slug,
                title=seed.title,
                summary=seed.summary,
                requirements=folder / seed.folder / "requirements.in",
                lock=folder / seed.folder / "requirements.lock",
            )
        )
        for seed in RUNTIMES
        if (folder / seed.folder / "requirements.lock").is_file()
    ]


def champions_seed() -> list[str]:
    """Points an alias at the model of each demo study that has one and never had an alias; the names of those.

    Raises `TrackerAway`.
    """
    done = []
    for study in STUDIES:
        if not any(trial.keep_model for trial in study.trials):
            continue
        model = registry_touch(study.model_name)
        person = User.objects.filter(username=study.person).first()
        if model is None or person is None or AliasMove.objects.filter(model_name=model.name).exists():
            continue
        alias_set(model=model, actor=person, alias="champion", version=1, from_version=None)
        done.append(model.name)
    return done
