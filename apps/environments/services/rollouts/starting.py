"""Beginning a rollout: who is meant, what stands in each one's way, and the values that are given once for all."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef

from apps.accounts.models import Team, User
from apps.audit.services import audit_record
from apps.catalog.interface import inputs_clean
from apps.catalog.interface.model import Variable
from apps.catalog.models import Module, ModuleVersion
from apps.core.crypto import encrypt_json
from apps.core.exceptions import Conflict, InvalidInput
from apps.core.queue import enqueue
from apps.environments.exceptions import LaunchInvalid
from apps.environments.models import Environment, Rollout, RolloutItem
from apps.environments.observers.writing import tell_owner
from apps.environments.permissions import rollout_require
from apps.environments.runtime_choice import runtimes_once
from apps.environments.services.inputs import declared_names
from apps.environments.services.launching import input_error_names
from apps.environments.services.locking import busy
from apps.environments.services.rollouts.writing import ADVANCE, rollout_publish
from apps.environments.services.upgrading import Upgrade, upgrade_look, upgrade_values
from apps.environments.services.values import inputs_masked
from apps.environments.words import status_word
from apps.policies.offer import Offer
from apps.policies.selectors import offer_for
from apps.provisioning.models import Change

S, T = Environment.Status, RolloutItem.State
MOST = 500
LARGEST_WAVE = 100
USUAL_WAVE = 5


class Verdict(StrEnum):
    READY = "ready"
    NEEDS_INPUT = "needs_input"
    BUSY = "busy"
    LEFT_OUT = "left_out"
    THERE = "there"


@dataclass(frozen=True)
class Candidate:
    """One environment that a rollout is about, and what would become of it; `reason` says what is in its way."""

    environment: Environment
    verdict: Verdict
    reason: str = ""
    upgrade: Upgrade | None = None


def rollout_look(
    *,
    version: ModuleVersion,
    team: Team | None = None,
    environments: Collection[UUID] | None = None,
    inputs: Mapping[str, Any] | None = None,
) -> list[Candidate]:
    """Every environment that is meant, in the order of their turns. Without `team` and `environments`, all.

    Those that have the version already are told of only where they were named. Raises `InvalidInput` beyond `MOST`.
    """
    rows = Environment.objects.filter(module=version.module_id).living()
    rows = rows.filter(pk__in=environments) if environments is not None else rows.exclude(module_version=version)
    if team is not None:
        rows = rows.filter(team=team)
    open_items = RolloutItem.objects.filter(environment=OuterRef("pk")).to_begin()
    under_way = RolloutItem.objects.filter(environment=OuterRef("pk")).under_way()
    rows = rows.annotate(in_rollout=Exists(open_items) | Exists(under_way))
    rows = rows.select_related("team", "owner", "module", "workspace").defer("workspace__resources")
    rows = rows.prefetch_related("module_version", runtimes_once("runtime_version"))
    found = list(rows.order_by("created_at", "id")[: MOST + 1])
    if len(found) > MOST:
        raise InvalidInput(
            f"A rollout takes at most {MOST} environments. Choose a team.", errors={"scope": ["Choose a team."]}
        )
    active = {
        change.workspace_id: change
        for change in Change.objects.active().filter(workspace__in=[e.pk for e in found]).defer("values", "plan")
    }
    offers: dict[tuple[UUID, UUID], Offer] = {}
    candidates = []
    for environment in found:
        key = environment.team_id, environment.module_version_id
        if key not in offers:
            offers[key] = offer_for(version=version, team=environment.team, existing=declared_names(environment))
        candidates.append(_candidate(environment, version, offers[key], active.get(environment.pk), inputs or {}))
    return candidates


def _candidate(
    environment: Any, version: ModuleVersion, offer: Offer, change: Change | None, inputs: Mapping[str, Any]
) -> Candidate:
    if environment.module_version_id == version.pk:
        return Candidate(environment, Verdict.THERE, f"It has {version.version} already.")
    if environment.status == S.FAILED and change is None:
        word = status_word(environment).label
        reason = f"{word}. {environment.status_reason} Mend it and upgrade it by itself."
        return Candidate(environment, Verdict.LEFT_OUT, reason)
    if environment.status == S.DESTROYING:
        return Candidate(environment, Verdict.LEFT_OUT, "It is being destroyed.")
    if environment.in_rollout:
        return Candidate(environment, Verdict.LEFT_OUT, "It has its turn in another rollout.")
    upgrade = upgrade_look(environment=environment, target=version, offer=offer)
    if upgrade.refused:
        return Candidate(environment, Verdict.NEEDS_INPUT, upgrade.refused, upgrade)
    try:
        upgrade_values(upgrade, inputs, only_asked=True)
    except LaunchInvalid:
        return Candidate(environment, Verdict.NEEDS_INPUT, needs_words(upgrade), upgrade)
    if change is not None:
        return Candidate(environment, Verdict.BUSY, str(busy(change)), upgrade)
    return Candidate(environment, Verdict.READY, "", upgrade)


def needs_words(upgrade: Upgrade) -> str:
    """What an environment lacks, by name, or what else is in its way."""
    if upgrade.refused:
        return upgrade.refused
    named = [f"“{variable.label}”" for variable in upgrade.wanted] or ["other settings"]
    return f"Wants a value for {', '.join(named[:5])}{' and more' if len(named) > 5 else ''}."


def inputs_common(candidates: Collection[Candidate]) -> dict[str, Variable]:
    """The inputs that some of them ask for, which can be given once for all: those that must be given first."""
    upgrades = [candidate.upgrade for candidate in candidates if candidate.upgrade]
    wanted = {variable.name: variable for upgrade in upgrades for variable in upgrade.wanted}
    return wanted | {v.name: v for upgrade in upgrades for v in upgrade.appeared if v.name not in wanted}


def inputs_for_all(version: ModuleVersion, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Values given once for all, checked by themselves. Raises `LaunchInvalid` by field."""
    interface = version.parsed()
    given = {name: value for name, value in inputs.items() if value not in ("", None)}
    values, errors = inputs_clean(interface, given, kept=[variable.name for variable in interface.variables])
    errors = {name: found for name, found in errors.items() if name in given or not name}
    if errors:
        raise LaunchInvalid(errors=input_error_names(errors))
    return {name: value for name, value in values.items() if name in given}


@transaction.atomic
def rollout_start(
    *,
    actor: User,
    version: ModuleVersion,
    team: Team | None = None,
    environments: Collection[UUID] | None = None,
    wave_size: int = USUAL_WAVE,
    inputs: Mapping[str, Any] | None = None,
) -> Rollout:
    """Write who is moved in which wave, tell their owners, and begin. Raises `InvalidInput` where there is nobody."""
    rollout_require(actor)
    if not version.is_launchable:
        word = version.get_status_display().lower()
        raise InvalidInput(errors={"version": [f"Version {version.version} is {word}. Choose a published one."]})
    if not 1 <= wave_size <= LARGEST_WAVE:
        raise InvalidInput(errors={"wave_size": [f"A wave has 1 to {LARGEST_WAVE} environments."]})
    values = inputs_for_all(version, inputs or {})
    # One at a time for a module, so that no environment gets a turn in two.
    Module.objects.select_for_update().get(pk=version.module_id)
    candidates = rollout_look(version=version, team=team, environments=environments, inputs=values)
    if environments is not None and (missing := set(environments) - {c.environment.pk for c in candidates}):
        message = f"{len(missing)} of them are gone, or are no environments of this module."
        raise InvalidInput(errors={"environments": [message]})
    turns = [c for c in candidates if c.verdict not in (Verdict.LEFT_OUT, Verdict.THERE)]
    if not turns:
        told = "; ".join(f"{c.environment.name}: {c.reason}" for c in candidates[:5])
        message = f"There is nothing to upgrade to {version.version}. {told}".strip()
        raise InvalidInput(message, errors={"scope": [message]})
    chosen = Rollout.Scope.ENVIRONMENTS if environments is not None else Rollout.Scope.TEAM if team else None
    rollout = Rollout.objects.create(
        module_id=version.module_id,
        to_version=version,
        scope=chosen or Rollout.Scope.ALL,
        team=team,
        wave_size=wave_size,
        waves=-(-len(turns) // wave_size),
        inputs=inputs_masked(list(version.parsed().variables), values),
        inputs_cipher=encrypt_json(values),
        requested_by=actor,
        driven_by=actor,
    )
    _items_create(rollout, candidates, turns)
    _owners_tell(rollout, turns, actor)
    audit_record(
        action="environments:rollout:start",
        actor=actor,
        target=rollout,
        team_id=team.pk if team else None,
        after={"version": version.version, "scope": rollout.scope, "environments": len(turns), "waves": rollout.waves},
    )
    rollout_publish(rollout)
    enqueue(ADVANCE, str(rollout.pk))
    return rollout


def _items_create(rollout: Rollout, candidates: list[Candidate], turns: list[Candidate]) -> None:
    place = {candidate.environment.pk: number for number, candidate in enumerate(turns)}
    states = {
        Verdict.NEEDS_INPUT: T.NEEDS_INPUT,
        Verdict.LEFT_OUT: T.SKIPPED,
        Verdict.THERE: T.DONE,
    }
    items = []
    for number, candidate in enumerate(candidates):
        turn = place.get(candidate.environment.pk)
        items.append(
            RolloutItem(
                rollout=rollout,
                environment=candidate.environment,
                wave=0 if turn is None else turn // rollout.wave_size + 1,
                position=number,
                from_version_id=candidate.environment.module_version_id,
                state=states.get(candidate.verdict, T.WAITING),
                reason=candidate.reason[:300],
            )
        )
    try:
        RolloutItem.objects.bulk_create(items)
    except IntegrityError:
        raise Conflict("Some of these environments got a turn in another rollout just now. Look again.") from None


def _owners_tell(rollout: Rollout, turns: list[Candidate], actor: User) -> None:
    for candidate in turns:
        if candidate.environment.owner_id == actor.pk:
            continue
        tell_owner(
            candidate.environment,
            f"will be upgraded to {rollout.to_version.version} by {actor.display_name}. Files are kept; it restarts if "
            "it runs.",
            key=f"rollout:{rollout.pk}:{candidate.environment.pk}:before",
            action="See what is new",
        )
