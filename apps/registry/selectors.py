"""Reads over the index of models; every query that starts from a person goes through `visible_to`."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, F, OuterRef, Prefetch, Q, QuerySet

from apps.accounts.models import Team, User
from apps.core.clock import database_now
from apps.environments.models import Environment
from apps.experiments.models import Experiment, Run
from apps.registry.models import AliasMove, ModelAlias, ModelCard, ModelVersion, RegisteredModel, RegistryIndex
from apps.registry.querysets import RegisteredModelQuerySet

ORDERINGS = {
    "name": F("name").asc(),
    "-name": F("name").desc(),
    "promoted": F("last_promoted_at").asc(nulls_last=True),
    "-promoted": F("last_promoted_at").desc(nulls_last=True),
    "changed": F("changed_at").asc(nulls_last=True),
    "-changed": F("changed_at").desc(nulls_last=True),
    "versions": F("version_count").asc(),
    "-versions": F("version_count").desc(),
}
DEFAULT_ORDERING = "name"
# What lists of versions do without.
HEAVY = ("files", "requirements", "example", "signature", "params", "source", "status_message", "description")


@dataclass(frozen=True)
class Freshness:
    """`read_at` is when MLflow's registry last answered, `away_since` when it stopped; both None before the first."""

    read_at: datetime | None
    away_since: datetime | None
    age_seconds: float | None
    is_first: bool


def freshness() -> Freshness:
    row = RegistryIndex.objects.filter(pk=1).first() or RegistryIndex()
    age = max(0.0, (database_now() - row.read_at).total_seconds()) if row.read_at else None
    return Freshness(row.read_at, row.away_since, age, row.imported_at is None)


def models_list(
    *, user: User, search: str = "", team: str = "", alias: str = "", ordering: str = DEFAULT_ORDERING
) -> QuerySet[RegisteredModel]:
    """The list page's rows; words are looked for in name, description, tags and aliases."""
    rows: RegisteredModelQuerySet = RegisteredModel.objects.visible_to(user).kept()
    if team:
        rows = rows.filter(team__slug=team)
    if alias:
        rows = rows.filter(Exists(ModelAlias.objects.filter(model=OuterRef("pk"), alias=alias)))
    for word in search.split()[:8]:
        named = ModelAlias.objects.filter(model=OuterRef("pk"), alias__icontains=word)
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(description__icontains=word)
            | Q(owner__username__icontains=word)
            | Q(tags__icontains=word)
            | Exists(named)
        )
    order = ORDERINGS.get(ordering, ORDERINGS[DEFAULT_ORDERING])
    return rows.select_related("team", "owner").prefetch_related("aliases").order_by(order, "name")


def model_get(*, user: User, name: str) -> RegisteredModel | None:
    rows = RegisteredModel.objects.visible_to(user).select_related("team", "owner").prefetch_related("aliases")
    return rows.filter(name=name).first()


def versions_listed(model: RegisteredModel) -> QuerySet[ModelVersion]:
    rows = ModelVersion.objects.filter(model=model).select_related("created_by")
    return rows.defer("files", "requirements", "example", "params").order_by("-version", "-id")


def version_get(model: RegisteredModel, number: int) -> ModelVersion | None:
    if number > 2**31 - 1:
        return None
    return ModelVersion.objects.filter(model=model, version=number).select_related("created_by").first()


def version_numbers(model: RegisteredModel, limit: int = 500) -> list[int]:
    rows = ModelVersion.objects.filter(model=model).order_by("-version")
    return list(rows.values_list("version", flat=True)[:limit])


def aliases_by_version(model: RegisteredModel) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for alias in sorted(model.aliases.all(), key=lambda each: each.alias):
        found.setdefault(alias.version, []).append(alias.alias)
    return found


def moves_of(model: RegisteredModel) -> QuerySet[AliasMove]:
    """Newest first, with the names of environments of the model's own team."""
    rows = AliasMove.objects.filter(model_name=model.name, born=model.born).select_related("actor")
    environments = Environment.objects.filter(team=model.team_id).only("id", "name")
    rows = rows.prefetch_related(Prefetch("environment", environments))
    return rows.order_by("-noticed_at", "-id")


def cards_of(model: RegisteredModel) -> QuerySet[ModelCard]:
    return ModelCard.objects.filter(model_name=model.name, born=model.born).order_by("-number")


def card_newest(model: RegisteredModel) -> ModelCard | None:
    return cards_of(model).select_related("author").first()


def cards_newest(models: Collection[RegisteredModel]) -> dict[str, ModelCard]:
    """By name, for a list."""
    wanted = {model.name: model.born for model in models}
    rows = ModelCard.objects.filter(model_name__in=wanted).order_by("model_name", "born", "-number")
    found = rows.distinct("model_name", "born")
    return {card.model_name: card for card in found if wanted[card.model_name] == card.born}


def runs_seen(user: User, run_ids: Collection[str]) -> dict[str, Run]:
    """Training runs by id, of those that the person sees."""
    rows = Run.objects.visible_to(user).filter(run_id__in=[run_id for run_id in run_ids if run_id])
    experiments = Prefetch("experiment", Experiment.objects.only("id", "name", "main_metric"))
    return {run.run_id: run for run in rows.defer("haystack").prefetch_related(experiments)}


def card_when_newest(model: RegisteredModel, version: ModelVersion) -> dict[str, str]:
    """The card belongs to the model: what it said last while this version was the newest."""
    later = ModelVersion.objects.filter(model=model, version__gt=version.version).order_by("version")
    ended = later.values_list("created_at", flat=True).first()
    cards = cards_of(model)
    card = (cards.filter(created_at__lte=ended) if ended else cards).first()
    return dict(card.sections) if card else {}


def names_of_team(team: Team) -> list[str]:
    rows = RegisteredModel.objects.kept().filter(team=team).order_by("name")
    return list(rows.values_list("name", flat=True)[:2000])


def versions_from_run(user: User, run: Run, limit: int = 20) -> list[ModelVersion]:
    rows = ModelVersion.objects.visible_to(user).filter(run_id=run.run_id, model__gone_at=None)
    return list(rows.only("model_id", "version").order_by("model_id", "version")[:limit])
