"""Search over what a person may see: actions, places, environments, modules, people. Other apps may add sources."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.models import Q

from apps.accounts.models import User
from apps.catalog.models import Module
from apps.environments.models import Environment
from apps.environments.words import status_word
from apps.home.context import PLACES, has_place
from apps.home.links import environment_link, launch_link, link
from apps.variable_sets.permissions import managed_team_ids

LIMIT = 6
WORDS = 5
LONGEST = 100


@dataclass(frozen=True)
class Result:
    """What `components/search_results.html` shows."""

    title: str
    url: str
    kind: str
    icon: str
    detail: str = ""


Source = Callable[[User, list[str]], Iterable[Result]]
_sources: list[Source] = []


def register_source(source: Source) -> Source:
    """`source(user, words)` gives at most a handful of results that hold every word (lower case; none for no query)."""
    if source not in _sources:
        _sources.append(source)
    return source


def search(*, user: User, text: str) -> list[Result]:
    """Results in the order of the sources; entries without an address are left out."""
    words = text[:LONGEST].lower().replace("\x00", "").split()[:WORDS]
    return [result for source in _sources for result in source(user, words) if result.url]


def _holds(words: list[str], *texts: str) -> bool:
    whole = " ".join(texts).lower()
    return all(word in whole for word in words)


def _every_word(words: list[str], *fields: str) -> Q:
    query = Q()
    for word in words:
        one = Q()
        for field in fields:
            one |= Q(**{f"{field}__icontains": word})
        query &= one
    return query


@register_source
def actions(user: User, words: list[str]) -> list[Result]:
    """Things to do, without an object."""
    found = [Result("Launch", launch_link(), "Action", "rocket")]
    found += [
        Result("Make an API token", f"{link('accounts:account')}#tokens", "Action", "key"),
        Result("Change my password", link("accounts:password"), "Action", "lock"),
    ]
    if user.is_platform_engineer:
        found += [
            Result("Add a person", link("accounts:person_new"), "Action", "user"),
            Result("Add a team", link("accounts:team_new"), "Action", "users-group"),
        ]
    return [result for result in found if words and _holds(words, result.title)][:LIMIT]


@register_source
def places(user: User, words: list[str]) -> list[Result]:
    further = [
        Result("Account", link("accounts:account"), "Place", "user"),
        Result("Inbox", link("notifications:inbox"), "Place", "bell"),
        Result("API documentation", link("api-docs"), "Place", "api"),
    ]
    if user.is_platform_engineer:
        further.append(Result("Tables (admin)", link("admin:index"), "Place", "database"))
    named = [place for place in PLACES if _holds(words, place.label)]
    mine = [place for place in named if has_place(user, place, lambda: bool(managed_team_ids(user)))]
    found = [Result(place.label, link(place.name), "Place", place.icon) for place in mine]
    return [*found, *(result for result in further if words and _holds(words, result.title))]


@register_source
def environments(user: User, words: list[str]) -> list[Result]:
    """By name, address or module; without a query those used last."""
    rows = Environment.objects.visible_to(user).living().filter(_every_word(words, "name", "slug", "module__title"))
    rows = (rows if words else rows.owned_by(user)).select_related("team", "owner", "module")
    rows = rows.defer("inputs_cipher", "secrets_cipher", "inputs").order_by("-created_at", "-id")[:LIMIT]
    return [
        Result(
            row.name,
            environment_link(row.pk),
            row.module.get_kind_display(),
            "notebook" if row.module.kind == Module.Kind.NOTEBOOK else "server",
            f"{status_word(row).label} · {row.owner.display_name}, {row.team.name}",
        )
        for row in rows
    ]


@register_source
def modules(user: User, words: list[str]) -> list[Result]:
    if not words or not launch_link():
        return []
    rows = Module.objects.visible_to(user).launchable().filter(_every_word(words, "title", "slug", "summary"))
    return [
        Result(row.title, link("environments:launch_module", row.slug), "Module", "package", row.summary)
        for row in rows[:LIMIT]
    ]


@register_source
def people(user: User, words: list[str]) -> list[Result]:
    if not words:
        return []
    fields = ("username", "first_name", "last_name")
    rows = User.objects.visible_to(user).filter(_every_word(words, *fields), is_active=True).order_by("username")
    return [Result(row.display_name, link("accounts:people"), "Person", "user", row.username) for row in rows[:LIMIT]]
