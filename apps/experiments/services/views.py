"""Saved views of the runs table."""

from django.db import IntegrityError, transaction

from apps.accounts.models import Team, User
from apps.audit.services import audit_record
from apps.core.exceptions import InvalidInput, NotAllowed
from apps.experiments.models import Experiment, SavedView

MOST_VIEWS = 200


def view_save(
    *, actor: User, name: str, query: str, experiment: Experiment | None, team: Team | None, shared: bool
) -> SavedView:
    """Keep an address's query under a name. Shared, everybody of `team` sees it: that of the experiment, if of one.

    Raises `InvalidInput` where the name is taken, or there is nobody to share with.
    """
    team = experiment.team if experiment is not None else team
    if shared and team is None:
        raise InvalidInput(errors={"shared": ["Choose the team that the view is shared with."]})
    if shared and team is not None and not actor.memberships.filter(team=team).exists():
        raise NotAllowed(f"Only members of {team.name} share views with it.")
    if SavedView.objects.owned_by(actor).count() >= MOST_VIEWS:
        raise InvalidInput(errors={"name": [f"You keep {MOST_VIEWS} views already; delete one first."]})
    row = SavedView(
        owner=actor,
        team=team if shared else None,
        experiment_id=experiment.pk if experiment else "",
        name=name,
        query=query,
        shared=shared,
    )
    try:
        with transaction.atomic():
            row.save()
            if shared:
                audit_record(action="experiments:view:shared", actor=actor, target=row, team_id=row.team_id)
    except IntegrityError:
        raise InvalidInput(errors={"name": ["You have a view of this name here already."]}) from None
    return row


def view_delete(*, actor: User, view: SavedView) -> None:
    """One's own. Raises `NotAllowed` for somebody else's."""
    if view.owner_id != actor.pk:
        raise NotAllowed(f"Only {view.owner.display_name} deletes this view.")
    with transaction.atomic():
        if view.shared:
            audit_record(action="experiments:view:deleted", actor=actor, target=view, team_id=view.team_id)
        view.delete()
