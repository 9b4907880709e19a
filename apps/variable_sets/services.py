"""Writing variable sets. What is recorded says which name was set, never to what."""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import Team, User
from apps.audit.services import audit_record
from apps.catalog.models import Module
from apps.core.crypto import encrypt_json
from apps.core.exceptions import NotAllowed
from apps.variable_sets.exceptions import VariableInvalid, VariableSetInvalid, VariableTaken
from apps.variable_sets.models import RetiredValue, SetVariable, VariableSet
from apps.variable_sets.permissions import WORDS, may_write_scope, require_write
from apps.variable_sets.values import UNSET, name_problems, value_clean

MOST_VARIABLES = 200
LONGEST_TARGET = 20


def variable_set_create(
    *, actor: User, name: str, description: str = "", team: Team | None = None, target: str = "",
    module: Module | None = None,
) -> VariableSet:  # fmt: skip
    """An empty set. Raises `NotAllowed`, `VariableSetInvalid` (fields name, description, team, target)."""
    target = target.strip()
    _require_scope(actor, team, target)
    variable_set = VariableSet(team=team, target=target, module=module, created_by=actor)
    _describe(variable_set, name, description)
    with transaction.atomic():
        _save(variable_set)
        _audit("variable-set:created", actor, variable_set, after=_told(variable_set))
    return variable_set


def variable_set_update(
    *, variable_set: VariableSet, actor: User, name: str, description: str, target: str, module: Module | None
) -> VariableSet:
    """Everything but its team, which decides who may write it."""
    with transaction.atomic():
        row = VariableSet.objects.select_for_update(of=("self",)).select_related("team").get(pk=variable_set.pk)
        require_write(actor, row)
        target = target.strip()
        _require_scope(actor, row.team, target)
        before = _told(row)
        moved = (row.target, row.module_id) != (target, module.pk if module else None)
        row.target, row.module = target, module
        _describe(row, name, description)
        _save(row)
        if moved:
            for variable in row.variables.select_for_update():
                _require_untaken(variable)
        if before != _told(row):
            _audit("variable-set:changed", actor, row, before=before, after=_told(row))
    return row


def variable_set_delete(*, variable_set: VariableSet, actor: User) -> None:
    """With its values, which are kept only to be masked where something still shows them."""
    with transaction.atomic():
        row = VariableSet.objects.select_for_update().filter(pk=variable_set.pk).first()
        if row is None:
            return
        require_write(actor, row)
        names = []
        for variable in row.variables.select_for_update():
            _retire(variable)
            names.append(variable.name)
        _audit("variable-set:deleted", actor, row, before={**_told(row), "variables": sorted(names)})
        row.delete()


def variable_set_value(
    *,
    variable_set: VariableSet,
    actor: User,
    name: str,
    kind: str,
    value: Any = UNSET,
    sensitive: bool = True,
    environment_variable: str = "",
) -> SetVariable:
    """Set a variable: a new one, or another value of one that is there, used by every plan and apply from now on.

    Without a value only what is around it changes. Raises `NotAllowed`, `VariableInvalid` (fields name, kind, value,
    sensitive, environment_variable), `VariableTaken`.
    """
    with transaction.atomic():
        row = (
            VariableSet.objects.select_for_update(of=("self",)).select_related("team", "module").get(pk=variable_set.pk)
        )
        require_write(actor, row)
        name, environment_variable = name.strip(), environment_variable.strip()
        errors = name_problems(actor, name=name, kind=kind, environment_variable=environment_variable)
        known = SetVariable.objects.filter(set=row, name=name[:100], kind=kind).first()
        cleaned, value_errors = value_clean(value, kind=kind, sensitive=sensitive, known=known)
        errors |= value_errors
        if known is None and row.variables.count() >= MOST_VARIABLES:
            errors["name"] = [f"A set holds at most {MOST_VARIABLES} variables. Make another one."]
        if errors:
            raise VariableInvalid(errors=errors)
        variable = known or SetVariable(set=row, name=name, kind=kind)
        variable.set = row
        before = {} if known is None else _variable_told(variable)
        variable.environment_variable = environment_variable if kind == SetVariable.Kind.FILE else ""
        variable.sensitive = sensitive
        _require_untaken(variable)
        if cleaned is not UNSET:
            if known is not None:
                _retire(known, was_sensitive=bool(before["sensitive"]))
            variable.cipher = encrypt_json(cleaned)
            variable.updated_at, variable.updated_by = timezone.now(), actor
        variable.save()
        row.save(update_fields=["updated_at"])
        done = "set" if known is None else "replaced" if cleaned is not UNSET else "changed"
        _audit(f"variable:{done}", actor, variable, before=before, after=_variable_told(variable))
    return variable


def variable_delete(*, variable: SetVariable, actor: User) -> None:
    with transaction.atomic():
        require_write(actor, variable.set)
        row = SetVariable.objects.select_for_update(of=("self",)).select_related("set").filter(pk=variable.pk).first()
        if row is None:
            return
        _retire(row)
        _audit("variable:deleted", actor, row, before=_variable_told(row))
        row.delete()


def _require_scope(actor: User, team: Team | None, target: str) -> None:
    if may_write_scope(actor, team=team, target=target):
        return
    if team is not None and may_write_scope(actor, team=team, target="any"):
        raise VariableSetInvalid(
            errors={"target": ["Name the target it is for; a platform engineer can make one for all."]}
        )
    raise NotAllowed(WORDS)


def _describe(row: VariableSet, name: str, description: str) -> None:
    row.name, row.description = " ".join(name.split()), " ".join(description.split())
    errors: dict[str, list[str]] = {}
    if not row.name:
        errors["name"] = ["Give it a name."]
    elif len(row.name) > 80:
        errors["name"] = ["At most 80 characters."]
    elif not row.name.isprintable():
        errors["name"] = ["Leave out characters that cannot be seen."]
    if len(row.description) > 300:
        errors["description"] = ["At most 300 characters."]
    if len(row.target) > LONGEST_TARGET or not row.target.isprintable():
        errors["target"] = ["Choose a target that a module of the catalog has."]
    if errors:
        raise VariableSetInvalid(errors=errors)


def _save(row: VariableSet) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        whose = f"{row.team.name} has" if row.team else "Everybody has"
        raise VariableSetInvalid(
            errors={"name": [f"{whose} a set “{row.name}” already. Choose another name."]}
        ) from None


def _require_untaken(variable: SetVariable) -> None:
    """Of two sets that are equally near, neither would win: the second is refused."""
    row = variable.set
    near = SetVariable.objects.filter(set__team=row.team_id, set__target=row.target, set__module=row.module_id)
    for other in near.exclude(pk=variable.pk).select_related("set"):
        if other.given_as == variable.given_as:
            message = f"“{other.set.name}” gives {other.given_as[1]} to the same environments. Change it there."
            field = "environment_variable" if variable.kind == SetVariable.Kind.FILE else "name"
            raise VariableTaken(message, errors={field: [message]})


def _retire(variable: SetVariable, *, was_sensitive: bool | None = None) -> None:
    sensitive = variable.sensitive if was_sensitive is None else was_sensitive
    if sensitive:
        row = variable.set
        RetiredValue.objects.create(
            team_id=row.team_id, target=row.target, module_id=row.module_id, kind=variable.kind,
            cipher=bytes(variable.cipher), retired_at=timezone.now(),
        )  # fmt: skip


def _told(row: VariableSet) -> dict[str, Any]:
    return {
        "name": row.name,
        "description": row.description,
        "team": row.team.slug if row.team else "everybody",
        "target": row.target or "any",
        "module": row.module.slug if row.module else "any",
    }


def _variable_told(row: SetVariable) -> dict[str, Any]:
    told: dict[str, Any] = {"set": row.set.name, "name": row.name, "kind": row.kind, "sensitive": row.sensitive}
    return told | ({"environment_variable": row.environment_variable} if row.environment_variable else {})


def _audit(
    verb: str,
    actor: User,
    target: VariableSet | SetVariable,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    team_id = target.team_id if isinstance(target, VariableSet) else target.set.team_id
    audit_record(
        action=f"variable_sets:{verb}", actor=actor, target=target, team_id=team_id, before=before, after=after
    )
