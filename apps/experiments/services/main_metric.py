from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.experiments.models import Experiment
from apps.experiments.services.indexing import aggregates_write


def main_metric_choose(*, actor: User, experiment: Experiment, metric: str, goal: str) -> None:
    """The metric that an experiment's best value and line are of, instead of the commonest."""
    before = {"metric": experiment.main_metric, "goal": experiment.main_goal}
    experiment.main_metric, experiment.main_goal, experiment.main_metric_chosen = metric, goal, True
    with transaction.atomic():
        experiment.save(update_fields=["main_metric", "main_goal", "main_metric_chosen"])
        audit_record(
            action="experiments:experiment:main-metric-chosen",
            actor=actor,
            target=experiment,
            team_id=experiment.team_id,
            before=before,
            after={"metric": metric, "goal": goal},
        )
        aggregates_write([experiment.pk])
