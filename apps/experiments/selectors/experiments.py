"""The list of experiments: one folder at a time, with the folders in it."""

from dataclasses import dataclass

from django.db.models import Count, F, Max, Q, QuerySet, Sum, Value
from django.db.models.functions import Concat, StrIndex, Substr

from apps.accounts.models import Team, User
from apps.experiments.models import Experiment

ORDERINGS = {
    "name": ("name",),
    "runs": ("run_count",),
    "active": ("last_run_at",),
    "team": ("team__name",),
    "owner": ("owner__username",),
    "best": ("best_value",),
}
DEFAULT_ORDERING = "-active"
MOST_FOLDERS = 200


@dataclass(frozen=True)
class Folder:
    """A folder in the one that is shown; counts are of all experiments below it."""

    name: str
    path: str
    experiments: int
    runs: int
    last_run_at: object


@dataclass(frozen=True)
class ExperimentQuery:
    """What the list was asked for; `search` looks in all folders, so does `flat`."""

    user: User
    folder: str = ""
    search: str = ""
    team: Team | None = None
    archived: bool = False
    ordering: str = DEFAULT_ORDERING
    flat: bool = False

    @property
    def everywhere(self) -> bool:
        return self.flat or bool(self.search)

    @property
    def prefix(self) -> str:
        """What names below the folder begin with; a name may itself begin with a slash."""
        return self.folder if self.folder in {"", "/"} else f"{self.folder}/"

    def all(self) -> QuerySet[Experiment]:
        """In the folder and below it."""
        rows = Experiment.objects.visible_to(self.user).filter(archived=self.archived)
        if self.team is not None:
            rows = rows.filter(team=self.team)
        if self.folder:
            rows = rows.filter(Q(folder=self.folder) | Q(folder__startswith=self.prefix))
        for word in self.search.split():
            rows = rows.filter(Q(name__icontains=word) | Q(note__icontains=word))
        return rows

    def rows(self, *, below: bool = False) -> QuerySet[Experiment]:
        """Those to be listed, in their order, with team and owner; with `below` those of the folders below too."""
        rows = self.all() if self.everywhere or below else self.all().filter(folder=self.folder)
        field = ORDERINGS[self.ordering.removeprefix("-")][0]
        down = self.ordering.startswith("-")
        order = F(field).desc(nulls_last=True) if down else F(field).asc(nulls_last=True)
        return rows.select_related("team", "owner").defer("note", "tags").order_by(order, "-pk" if down else "pk")

    def folders(self) -> list[Folder]:
        """Directly in the folder, by name; none where the list goes through all of them."""
        if self.everywhere:
            return []
        below = self.all().exclude(folder=self.folder)
        rest = below.annotate(rest=Concat(Substr("folder", len(self.prefix) + 1), Value("/")))
        first = rest.annotate(first=Substr("rest", 1, StrIndex("rest", Value("/")) - 1))
        summed = first.values("first").annotate(n=Count("id"), sum=Sum("run_count"), last=Max("last_run_at"))
        return [
            Folder(first or "/", self.prefix + first or "/", count, runs or 0, last)
            for first, count, runs, last in summed.order_by("first").values_list("first", "n", "sum", "last")[
                :MOST_FOLDERS
            ]
        ]


def experiment_query(user: User, get: "dict[str, str]") -> ExperimentQuery:
    """From an address; an unknown value filters nothing, a team of others leaves nothing."""
    slug = _clean(get.get("team", ""))[:40]
    team = None
    if slug:
        team = Team.objects.visible_to(user).filter(slug=slug).first() or Team(slug="")
    ordering = get.get("ordering", "")
    return ExperimentQuery(
        user=user,
        folder=_folder(_clean(get.get("folder", ""))[:500]),
        search=_clean(get.get("q", ""))[:200].strip(),
        team=team,
        archived=get.get("archived", "") not in {"", "0", "false"},
        ordering=ordering if ordering.removeprefix("-") in ORDERINGS else DEFAULT_ORDERING,
        flat=get.get("flat", "") not in {"", "0", "false"},
    )


def _clean(text: str) -> str:
    """Without what PostgreSQL takes for no text."""
    return "".join(character for character in text if character != "\0" and not "\ud800" <= character <= "\udfff")


def _folder(text: str) -> str:
    return text.rstrip("/") or text[:1]
