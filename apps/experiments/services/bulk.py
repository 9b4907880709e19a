"""Changes of many runs at once, and of whole experiments: made at MLflow, read back at once, told in the audit log."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.selectors import OwnTeam
from apps.audit.services import audit_record
from apps.core.exceptions import InvalidInput, NotAllowed
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway import call
from apps.experiments.models import Experiment, Run
from apps.experiments.selectors.listed import ListedExperiment
from apps.experiments.services.indexing import experiment_touch, runs_touch

MOST_RUNS = 200
RESERVED = ("mlflow.", "slipway.")
WHAT_MEMBERS_DO = "You may see these runs; members of their team may change them."


def may_change(
    user: User, experiments: Iterable[Experiment | ListedExperiment], teams: Iterable[OwnTeam] | None = None
) -> bool:
    """Members of the team that they belong to; auditors and platform engineers look.

    `teams` are the person's own, where they are at hand already.
    """
    if not user.is_active:
        return False
    own = set(user.memberships.values_list("team_id", flat=True)) if teams is None else {team.pk for team in teams}
    return {experiment.team_id for experiment in experiments} <= own


def runs_tag(*, actor: User, runs: Sequence[Run], key: str, value: str) -> int:
    """Write one tag on each. Raises `InvalidInput` for a tag that is MLflow's or the portal's own."""
    if key.startswith(RESERVED):
        raise InvalidInput(errors={"key": ["Tags that begin with mlflow. or slipway. are not written by hand."]})

    def write(run: Run) -> None:
        call("POST", "runs/set-tag", json={"run_id": run.run_id, "key": key, "value": value})

    return _each(actor, runs, "experiments:run:tagged", write, {"key": key[:250], "value": value[:500]})


def runs_archive(*, actor: User, runs: Sequence[Run]) -> int:
    """MLflow's own delete, which can be taken back."""
    return _each(
        actor,
        [run for run in runs if not run.archived],
        "experiments:run:archived",
        lambda run: call("POST", "runs/delete", json={"run_id": run.run_id}),
        {},
    )


def runs_restore(*, actor: User, runs: Sequence[Run]) -> int:
    return _each(
        actor,
        [run for run in runs if run.archived],
        "experiments:run:restored",
        lambda run: call("POST", "runs/restore", json={"run_id": run.run_id}),
        {},
    )


def _each(actor: User, runs: Sequence[Run], action: str, write: Callable[[Run], object], told: dict[str, Any]) -> int:
    """Do it run by run; when MLflow goes away in the middle, what was done is told and read back, then `TrackerAway`.

    Raises `NotAllowed`, and `InvalidInput` for too many at once.
    """
    if len(runs) > MOST_RUNS:
        raise InvalidInput(errors={"run": [f"At most {MOST_RUNS} runs can be changed at once."]})
    if not may_change(actor, [run.experiment for run in runs]):
        raise NotAllowed(WHAT_MEMBERS_DO)
    done: list[Run] = []
    away: TrackerAway | None = None
    for run in runs:
        try:
            write(run)
        except TrackerAway as error:
            away = error
            break
        except TrackerRefused as error:
            if not error.absent:
                raise
            continue
        done.append(run)
    _tell(actor, done, action, told)
    if done:
        runs_touch([run.run_id for run in done])
    if away is not None:
        raise away
    return len(done)


def _tell(actor: User, done: Sequence[Run], action: str, told: dict[str, Any]) -> None:
    with transaction.atomic():
        by_experiment: dict[str, list[Run]] = {}
        for run in done:
            by_experiment.setdefault(run.experiment_id, []).append(run)
        for runs in by_experiment.values():
            experiment = runs[0].experiment
            after = {**told, "runs": [run.run_id for run in runs]}
            audit_record(action=action, actor=actor, target=experiment, team_id=experiment.team_id, after=after)


def experiment_archive(*, actor: User, experiment: Experiment, restore: bool = False) -> None:
    """Archive an experiment with its runs, or take that back. Raises `NotAllowed`, `TrackerAway`, `TrackerRefused`."""
    if not may_change(actor, [experiment]):
        raise NotAllowed("You may see this experiment; members of its team may change it.")
    call("POST", f"experiments/{'restore' if restore else 'delete'}", json={"experiment_id": experiment.pk})
    audit_record(
        action=f"experiments:experiment:{'restored' if restore else 'archived'}",
        actor=actor,
        target=experiment,
        team_id=experiment.team_id,
    )
    experiment_touch(experiment.pk)
    runs_touch(Run.objects.filter(experiment=experiment).order_by("-pk").values_list("run_id", flat=True)[:MOST_RUNS])
