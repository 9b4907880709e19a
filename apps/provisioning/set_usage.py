"""Which environments work with a variable set, and which retired secrets something may still show."""

from typing import Any

from django.db.models import Exists, F, Max, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, Greatest, NullIf

from apps.accounts.models import User
from apps.provisioning.models import Change, Workspace
from apps.variable_sets.models import RetiredValue, VariableSet
from apps.variable_sets.registry import Usage, usage_for

MOST_SHOWN = 200


def register() -> None:
    usage_for(usages)


def usages(variable_set: VariableSet, user: User) -> list[Usage]:
    """Living environments of the set's scope, those that ran longest ago first."""
    rows = _living(Workspace.objects.visible_to(user)).select_related("team")
    if variable_set.team_id:
        rows = rows.filter(team_id=variable_set.team_id)
    if variable_set.target:
        rows = rows.filter(target=variable_set.target)
    if variable_set.module_id:
        rows = rows.filter(module_version__module_id=variable_set.module_id)
    rows = rows.order_by(F("ran_at").asc(nulls_last=True), "name", "id").only("name", "team__name")
    return [Usage(row.pk, row.name, row.team.name, row.ran_at) for row in rows[:MOST_SHOWN]]


def retired_values_done() -> QuerySet[RetiredValue]:
    """Secrets that every living environment they were for has since run without: nothing shows them any more."""
    ran_with_it = _living(Workspace.objects.all()).filter(
        team_id=Coalesce(OuterRef("team_id"), F("team_id")),
        target=Coalesce(NullIf(OuterRef("target"), Value("")), F("target")),
        module_version__module_id=Coalesce(OuterRef("module_id"), F("module_version__module_id")),
        ran_at__lte=OuterRef("retired_at"),
    )
    return RetiredValue.objects.exclude(Exists(ran_with_it))


def _living(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Workspaces that are not destroyed; `ran_at` is when Terraform last began to plan or apply for each."""
    began = Change.objects.filter(workspace=OuterRef("pk")).order_by().values("workspace")
    newest = began.annotate(at=Max(Greatest("planning_at", "applying_at"))).values("at")
    return rows.filter(destroyed_at=None).annotate(ran_at=Subquery(newest))
