from django.db.models import QuerySet

from apps.accounts.models import User
from apps.experiments.models import Experiment, SavedView

SHOWN = 100


def views_listed(user: User, experiment: Experiment | None) -> QuerySet[SavedView]:
    """One's own and those shared with one's teams, of one experiment or of the list over all of them."""
    rows = SavedView.objects.visible_to(user).filter(experiment_id=experiment.pk if experiment else "")
    return rows.select_related("owner").order_by("name", "pk")[:SHOWN]
