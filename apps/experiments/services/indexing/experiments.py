"""Writes rows of experiments: names, folders, and whose they are by the portal's own teams."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.models import Team, User
from apps.experiments.gateway.experiments import experiment_if_there
from apps.experiments.mlflow_ownership import tag_of, team_of_experiment
from apps.experiments.models import Experiment
from apps.experiments.services.indexing.reading import NOTE, clean, moment, pairs

KEPT = ("name", "folder", "team_id", "owner_id", "note", "tags", "archived", "created_at", "changed_at")


def experiments_write(experiments: Sequence[dict[str, Any]]) -> set[str]:
    """Write what differs; returns the ids of experiments whose runs have to be read again (archived or restored)."""
    if not experiments:
        return set()
    teams = dict(Team.objects.values_list("slug", "id"))
    people = _people(experiments)
    fresh = {each.pk: each for each in (_experiment(one, teams, people) for one in experiments)}
    again = set()
    with transaction.atomic():
        rows = Experiment.objects.select_for_update(no_key=True).filter(pk__in=fresh).order_by("pk")
        known = {row.pk: row for row in rows}
        Experiment.objects.bulk_create([row for pk, row in fresh.items() if pk not in known], ignore_conflicts=True)
        changed = []
        for pk, row in known.items():
            # Where nobody is named it is whoever ran something in it first, see `aggregates`.
            fresh[pk].owner_id = fresh[pk].owner_id or row.owner_id
            if any(getattr(row, field) != getattr(fresh[pk], field) for field in KEPT):
                if row.archived != fresh[pk].archived:
                    again.add(pk)
                for field in KEPT:
                    setattr(row, field, getattr(fresh[pk], field))
                changed.append(row)
        Experiment.objects.bulk_update(changed, KEPT, batch_size=500)
    return again


def experiments_require(ids: Iterable[str]) -> set[str]:
    """Those of the ids that the index has, once the ones it lacks were asked for."""
    wanted = set(ids)
    known = set(Experiment.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    found = [each for pk in sorted(wanted - known) if (each := experiment_if_there(pk)) is not None]
    experiments_write(found)
    return known | {str(each["experiment_id"]) for each in found}


def _people(experiments: Sequence[dict[str, Any]]) -> dict[str, int]:
    names = {tag_of(each, "slipway.user") or tag_of(each, "mlflow.user") or "" for each in experiments} - {""}
    return dict(User.objects.filter(username__in=names).values_list("username", "id")) if names else {}


def _experiment(said: dict[str, Any], teams: dict[str, Any], people: dict[str, int]) -> Experiment:
    name = clean(str(said.get("name") or said["experiment_id"]), 500)
    tags = pairs(said.get("tags"))
    return Experiment(
        id=str(said["experiment_id"]),
        name=name,
        folder=name.rpartition("/")[0],
        team_id=teams.get(team_of_experiment(said, said.get("workspace", "")) or ""),
        owner_id=people.get(tags.get("slipway.user") or tags.get("mlflow.user") or ""),
        note=tags.get(NOTE, ""),
        tags={key: value for key, value in tags.items() if key != NOTE},
        archived=said.get("lifecycle_stage") == "deleted",
        created_at=moment(said.get("creation_time")),
        changed_at=moment(said.get("last_update_time")),
    )
