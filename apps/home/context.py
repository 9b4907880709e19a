"""What the shell shows on every page: the left bar, teams, inbox, the person's preferences.

Nothing is asked of the database before a template names it; a whole page costs three queries here (teams, unread
messages, newest live event), a fragment none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db.models import Exists
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.accounts.models import Membership, Team
from apps.core.models import LiveEvent
from apps.home.links import launch_link, link
from apps.notifications.selectors import unread_count

TEAMS_SHOWN = 200


@dataclass(frozen=True)
class Place:
    """An entry of the left bar. `who` names the role that sees it.

    It is the current one on pages of `apps`; on those whose name begins with `views` it is so before any other.
    """

    label: str
    name: str
    icon: str
    shortcut: str = ""
    group: str = ""
    who: str = "everybody"
    apps: tuple[str, ...] = ()
    views: str = ""
    keeps_team: bool = False


PLACES = (
    Place("Home", "home:home", "home", "h", keeps_team=True),
    Place("Environments", "environments:list", "stack-2", "e", apps=("environments",), keeps_team=True),
    Place("Experiments", "experiments:list", "flask", "x", apps=("experiments",), keeps_team=True),
    Place("Models", "registry:list", "cube", "m", apps=("registry",), keeps_team=True),
    Place("People", "accounts:people", "users", "p"),
    Place("Modules", "catalog:list", "package", group="Platform", who="platform", apps=("catalog",)),
    Place(
        "Rollouts",
        "environments:rollouts",
        "arrow-right",
        group="Platform",
        who="everything",
        views="environments:rollout",
    ),
    Place("Variable sets", "variable_sets:list", "key", group="Platform", who="managers", apps=("variable_sets",)),
    Place("Python environments", "runtimes:list", "cube", group="Platform", who="platform", apps=("runtimes",)),
    Place("Policies", "policies:list", "adjustments", group="Platform", who="everything", apps=("policies",)),
    Place("Audit", "audit:events", "shield-check", "u", group="Platform", who="everything", apps=("audit",)),
)


def places_for(user: Any, *, manages: Callable[[], bool]) -> list[Place]:
    """The places a person has; those of their own role only. `manages` says whether they manage a team, if asked."""
    return [place for place in PLACES if has_place(user, place, manages)]


def has_place(user: Any, place: Place, manages: Callable[[], bool]) -> bool:
    if place.who == "platform":
        return bool(user.is_platform_engineer)
    return place.who == "everybody" or user.sees_everything or (place.who == "managers" and manages())


class Shell:
    """Values of `base.html`, each asked for when it is shown."""

    version = "1"
    events_url = "/events/"

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._user: Any = request.user

    @cached_property
    def is_open(self) -> bool:
        return self._user.is_authenticated

    @cached_property
    def teams(self) -> list[Team]:
        if not self.is_open:
            return []
        rows = Team.objects.visible_to(self._user).only("id", "slug", "name").order_by("name", "id")
        if not self._user.sees_everything:
            rows = rows.annotate(manages=Exists(Membership.objects.filter(user=self._user, role="manager")))
        return list(rows[:TEAMS_SHOWN])

    def _manages(self) -> bool:
        """Whether the person manages a team: every row of their teams says so."""
        return any(getattr(team, "manages", False) for team in self.teams[:1])

    @cached_property
    def team_chosen(self) -> Team | None:
        """The team of `?team=`, if the person sees it."""
        asked = self._request.GET.get("team", "")
        return next((team for team in self.teams if team.slug == asked), None) if asked else None

    @property
    def team(self) -> str:
        return self.team_chosen.slug if self.team_chosen else ""

    @cached_property
    def inbox_count(self) -> int:
        return unread_count(self._user) if self.is_open else 0

    @property
    def inbox_url(self) -> str:
        return link("notifications:inbox") if self.is_open else ""

    @property
    def search_url(self) -> str:
        return link("home:search")

    @property
    def launch_url(self) -> str:
        """Whoever belongs to no team has nobody to launch for."""
        is_reader = self.is_open and self._user.is_auditor and not self._user.is_platform_engineer
        return launch_link() if self.is_open and not is_reader else ""

    @property
    def account_url(self) -> str:
        return link("accounts:account") if self.is_open else ""

    @property
    def theme(self) -> str:
        return self._user.theme if self.is_open else "auto"

    @property
    def theme_url(self) -> str:
        return link("accounts:theme") if self.is_open else ""

    @property
    def sign_out_url(self) -> str:
        return link("accounts:sign_out") if self.is_open else ""

    @property
    def topics(self) -> str:
        return f"user:{self._user.pk}" if self.is_open else ""

    @cached_property
    def since(self) -> int:
        """The newest live event: what happens after this page was made reaches it, though it connects later."""
        newest = LiveEvent.objects.order_by("-id").values_list("id", flat=True).first()
        return newest or 0

    @property
    def shortcuts(self) -> bool:
        return self._user.shortcuts if self.is_open else True

    def nav(self) -> list[dict[str, Any]]:
        if not self.is_open:
            return []
        places = places_for(self._user, manages=self._manages)
        current = self._current(places)
        entries = [self._entry(place, is_active=place is current) for place in places]
        return [entry for entry in entries if entry["url"]]

    def _current(self, places: list[Place]) -> Place | None:
        match = self._request.resolver_match
        if match is None:
            return None
        exact = (place for place in places if place.views and match.view_name.startswith(place.views))
        broad = (place for place in places if match.view_name == place.name or match.app_name in place.apps)
        return next(exact, None) or next(broad, None)

    def _entry(self, place: Place, *, is_active: bool) -> dict[str, Any]:
        url = link(place.name)
        kept = f"?team={self.team}" if place.keeps_team and self._request.GET.get("team") and self.team else ""
        return {
            "label": place.label,
            "url": url and url + kept,
            "icon": place.icon,
            "active": is_active,
            "shortcut": place.shortcut,
            "group": place.group,
            "count": 0,
        }


def shell(request: HttpRequest) -> dict[str, Any]:
    made = Shell(request)
    return {
        "shell": made,
        "nav": SimpleLazyObject(made.nav),
        "teams": SimpleLazyObject(lambda: made.teams),
        "team": SimpleLazyObject(lambda: made.team_chosen),
        "unread": SimpleLazyObject(lambda: made.inbox_count),
    }
