"""What came out of training runs, told to their pages."""

from collections.abc import Sequence

from django.urls import reverse

from apps.accounts.models import User
from apps.experiments.registry import ModelOfRun, Served
from apps.registry.deployed import Deployment, deployments_of
from apps.registry.models import ModelAlias, ModelVersion, RegisteredModel


def models_from_runs(user: User, run_ids: Sequence[str]) -> list[ModelOfRun]:
    """Versions the person sees, with their aliases and deployments, in four queries whatever the number of runs."""
    models = RegisteredModel.objects.visible_to(user).kept()
    rows = list(
        ModelVersion.objects.filter(run_id__in=list(run_ids), model__in=models)
        .only("model_id", "version", "run_id", "logged_model_id")
        .order_by("model_id", "-version")
    )
    names = {row.model_id for row in rows}
    if not names:
        return []
    aliases: dict[tuple[str, int], list[str]] = {}
    for name, alias, version in ModelAlias.objects.filter(model__in=names).values_list("model_id", "alias", "version"):
        aliases.setdefault((name, version), []).append(alias)
    deployments = deployments_of(names, user)
    return [
        ModelOfRun(
            run_id=row.run_id,
            name=row.model_id,
            version=str(row.version),
            url=reverse("registry:version", args=[row.model_id, row.version]),
            logged_model_id=row.logged_model_id,
            aliases=tuple(sorted(aliases.get((row.model_id, row.version), []))),
            served=tuple(_served(each) for each in deployments if (each.model, each.version) == _key(row)),
        )
        for row in rows
    ]


def _key(row: ModelVersion) -> tuple[str, int]:
    return row.model_id, row.version


def _served(each: Deployment) -> Served:
    return Served(each.title, each.url, each.label, each.tone)
