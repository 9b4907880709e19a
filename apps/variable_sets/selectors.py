from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max, Q, QuerySet

from apps.accounts.models import Team, User
from apps.catalog.interface.model import ModuleInterface
from apps.catalog.models import Module, ModuleVersion
from apps.core.crypto import decrypt_json
from apps.variable_sets.credentials import is_given, need_words, ways_of
from apps.variable_sets.given import Given, GivenFile, secret_texts
from apps.variable_sets.models import RetiredValue, SetVariable, VariableSet
from apps.variable_sets.permissions import may_write

Kind = SetVariable.Kind
LOCAL = "local"


@dataclass(frozen=True)
class Counted:
    """A variable that applies, and whether it is the one that counts; `beaten_by` names the set that is nearer."""

    variable: SetVariable
    counts: bool
    beaten_by: VariableSet | None = None


def sets_listed(user: User) -> QuerySet[Any]:
    """The sets a person sees, with how many variables each has and when one was last set."""
    rows: QuerySet[Any] = VariableSet.objects.visible_to(user).select_related("team", "module")
    listed: QuerySet[Any] = rows.annotate(variable_count=Count("variables"), set_at=Max("variables__updated_at"))
    return listed


def variables_counted(*, team: Team | None, target: str, module_slug: str) -> list[Counted]:
    """Every variable that applies, by name; of those that give the same name the most specific counts.

    A team's set wins over everybody's, then one module's over every module's, then one target's over any.
    """
    sets = VariableSet.objects.applying(team_id=team.pk if team else None, target=target, module_slug=module_slug)
    rows = list(SetVariable.objects.filter(set__in=sets).select_related("set__team", "set__module", "updated_by"))
    # Two equally near sets are refused when they are written; a race between two writes is decided by the name.
    rows.sort(key=lambda row: (*row.set.rank, row.set.name, str(row.pk)), reverse=True)
    winners: dict[tuple[str, str], SetVariable] = {}
    for row in rows:
        winners.setdefault(row.given_as, row)
    counted = [
        Counted(row, winners[row.given_as] is row, None if winners[row.given_as] is row else winners[row.given_as].set)
        for row in rows
    ]
    return sorted(counted, key=lambda item: (item.variable.given_as, not item.counts))


def variables_for(*, team: Team | None, target: str, module_slug: str) -> Given:
    """What Terraform is given when it works for a team, a target and a module. Raises `KeyLost`.

    For the agent alone: it holds every secret in clear.
    """
    counted = [
        item.variable for item in variables_counted(team=team, target=target, module_slug=module_slug) if item.counts
    ]
    environment: dict[str, str] = {}
    files: list[GivenFile] = []
    terraform: dict[str, Any] = {}
    secrets: set[str] = set()
    for variable in counted:
        value = value_of(variable)
        if variable.sensitive:
            secrets |= secret_texts(value)
        if variable.kind == Kind.TERRAFORM:
            terraform[variable.name] = value
        elif variable.kind == Kind.FILE:
            files.append(GivenFile(variable.name, variable.environment_variable, value))
        else:
            environment[variable.name] = value
    secrets |= _retired_texts(team, target, module_slug)
    names = dict.fromkeys(variable.set.name for variable in counted)
    return Given(environment, files, terraform, sorted(secrets), list(names))


def terraform_names_for(*, team: Team | None, target: str, module_slug: str) -> dict[str, str]:
    """Which module variables are filled in, and the name of the set that does it: nothing of their values."""
    counted = variables_counted(team=team, target=target, module_slug=module_slug)
    kept = [item.variable for item in counted if item.counts and item.variable.kind == Kind.TERRAFORM]
    return {variable.name: variable.set.name for variable in kept}


def secrets_for(*, team: Team | None, target: str, module_slug: str) -> list[str]:
    """Only what has to be masked."""
    return variables_for(team=team, target=target, module_slug=module_slug).secrets


def secrets_mark() -> tuple[Any, ...]:
    """Changes whenever a value of any set does: to know again what was read once."""
    rows = SetVariable.objects.aggregate(newest=Max("updated_at"), count=Count("pk"))
    return (rows["newest"], rows["count"], RetiredValue.objects.count())


def _retired_texts(team: Team | None, target: str, module_slug: str) -> set[str]:
    rows = RetiredValue.objects.applying(team_id=team.pk if team else None, target=target, module_slug=module_slug)
    return {text for row in rows for text in secret_texts(decrypt_json(bytes(row.cipher)))}


def value_of(variable: SetVariable) -> Any:
    """The value in clear: for Terraform, and for people only where `shown_value` says so."""
    return decrypt_json(bytes(variable.cipher))


def shown_value(variable: SetVariable, user: User) -> Any:
    """The value as the person may read it: None for a sensitive one, and for whoever may not write the set."""
    if variable.sensitive or not may_write(user, variable.set):
        return None
    return value_of(variable)


def sets_for_launch(
    *, user: User, target: str, module_slug: str, teams: Iterable[Team]
) -> list[tuple[Team, list[VariableSet]]]:
    """For the launch page: the sets that apply, with their variables' names, for each team that one can launch for."""
    rows = list(
        VariableSet.objects.visible_to(user)
        .filter(Q(target="") | Q(target=target), Q(module=None) | Q(module__slug=module_slug))
        .annotate(names=ArrayAgg("variables__name", order_by="variables__name", filter=~Q(variables=None)))
    )
    found = [(team, [row for row in rows if row.team_id in (None, team.pk)]) for team in teams]
    return [(team, sets) for team, sets in found if sets]


def credentials_lacking(*, interfaces: Iterable[ModuleInterface], teams: Collection[Team]) -> dict[str, list[Team]]:
    """By module, the teams whose variable sets do not give what it needs: one query, and none where none needs it."""
    needing = [interface for interface in interfaces if ways_of(interface)]
    if not needing or not teams:
        return {}
    rows = SetVariable.objects.filter(Q(set__team=None) | Q(set__team__in=teams)).select_related("set__module")
    variables = list(rows.defer("cipher"))
    found = {}
    for interface in needing:
        applying = [row for row in variables if _holds_for(row.set, interface)]
        lacking = [
            team
            for team in teams
            if not is_given(interface, {row.given_as[1] for row in applying if row.set.team_id in (None, team.pk)})
        ]
        if lacking:
            found[interface.slug] = lacking
    return found


def _holds_for(row: VariableSet, interface: ModuleInterface) -> bool:
    """As `VariableSetQuerySet.applying`, of rows that are here."""
    return row.target in ("", interface.target) and (row.module is None or row.module.slug == interface.slug)


def modules_lacking(user: User, modules: Sequence[Module]) -> dict[UUID, str]:
    """What the catalog says of modules that none of the person's teams has credentials for."""
    asked = [row.latest_version_id for row in modules if row.target != LOCAL and row.latest_version_id]
    if not asked:
        return {}
    versions = ModuleVersion.objects.filter(pk__in=asked).only("interface", "module_id")
    interfaces = {row.module_id: row.parsed() for row in versions}
    teams = list(Team.objects.of(user))
    lacking = credentials_lacking(interfaces=interfaces.values(), teams=teams)
    return {
        key: f"Needs {need_words(interface)}"
        for key, interface in interfaces.items()
        if teams and len(lacking.get(interface.slug, ())) == len(teams)
    }
