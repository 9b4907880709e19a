"""What a run ran on: what its tags claim, held against the portal's own records.

The one tag that is no claim is `slipway.environment_id`: the `/mlflow/` route writes it from the token of the request.
Everything else follows from our records of that environment: the change that was applied when the run started gives
module version and plan, the Terraform state after that change gives the Python packages.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from apps.core.crypto import decrypt_json
from apps.environments.models import Environment
from apps.experiments.models import Experiment
from apps.provisioning.models import Change, StateVersion
from apps.runtimes.lockfile import lock_digest
from apps.runtimes.models import RuntimeVersion

# A notebook answers, and a run may begin in it, a little before its change counts as applied; clocks differ, too.
SLACK = timedelta(minutes=2)
BUILDS = (Change.Kind.CREATE, Change.Kind.UPDATE, Change.Kind.START)
RUNTIME_TYPE = "slipway_runtime"


class Standing(StrEnum):
    VERIFIED = "verified"
    CLAIMED = "claimed"
    DISAGREES = "disagrees"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fact:
    """One thing that a run ran on. `value` is what our records say, else the claim; `note` says why it stands so."""

    key: str
    label: str
    value: str
    standing: Standing
    note: str = ""
    url: str = ""

    @property
    def verified(self) -> bool:
        return self.standing == Standing.VERIFIED


@dataclass(frozen=True)
class Lineage:
    """`environment` and `change` are ours and verified, or None; `requirements` is the lock the packages came from."""

    facts: list[Fact]
    environment: Environment | None = None
    change: Change | None = None
    runtime: RuntimeVersion | None = None
    requirements: str = ""
    claimed: dict[str, str] = field(default_factory=dict)

    def fact(self, key: str) -> Fact | None:
        return next((fact for fact in self.facts if fact.key == key), None)

    @property
    def verified(self) -> bool:
        return self.environment is not None


def lineage_of(
    *,
    tags: dict[str, str],
    experiment: Experiment,
    started_at: datetime | None,
    states: dict[UUID, dict[str, Any]] | None = None,
) -> Lineage:
    """From a run's tags as MLflow has them; what they say beside `slipway.environment_id` is only compared.

    `states` remembers what was read of a change, for several runs of one environment.
    """
    states = {} if states is None else states
    claimed = {key: value for key, value in tags.items() if key.startswith("slipway.")}
    environment, why = _environment(claimed.get("slipway.environment_id", ""), experiment, started_at)
    if environment is None:
        return Lineage(_claims(claimed, why), claimed=claimed)
    change = _change_at(environment, started_at)
    facts = [_environment_fact(environment, claimed)]
    if change is None:
        note = "Our records hold no applied change of it from before the run started."
        facts += [fact for fact in _claims(claimed, note) if fact.key not in ("environment", "user")]
        return Lineage(facts, environment=environment, claimed=claimed)
    if change.pk not in states:
        states[change.pk] = _state_after(change)
    digest, requirements = _runtime_of(states[change.pk])
    runtime = _runtime_version(requirements)
    module = f"{change.module_version.module.slug} {change.module_version.version}"
    claimed_module = f"{claimed.get('slipway.module', '')} {claimed.get('slipway.module_version', '')}".strip()
    facts += [
        _compared("module", "Module version", module, claimed_module),
        _compared("plan", "Plan", change.plan_hash, claimed.get("slipway.plan_hash", "")),
        _compared("runtime", "Python packages", digest, claimed.get("slipway.runtime_digest", "")),
    ]
    if runtime is not None:
        shown = f"{runtime.runtime.title}, version {runtime.number}"
        facts.append(Fact("python", "Python environment", shown, Standing.VERIFIED))
    return Lineage(facts, environment, change, runtime, requirements, claimed)


def _environment(stamp: str, experiment: Experiment, started_at: datetime | None) -> tuple[Environment | None, str]:
    """The environment the run was stamped with, or why the stamp proves nothing."""
    if not stamp:
        return None, "The run was logged from outside of Slipway's environments, or before they were stamped."
    try:
        key = UUID(stamp)
    except ValueError:
        return None, "The environment it names is not one of ours."
    rows = Environment.objects.select_related(
        "team", "owner", "module", "module_version__module", "runtime_version__runtime"
    )
    environment = rows.defer("module_version__archive", "runtime_version__lock").filter(pk=key).first()
    if environment is None:
        return None, "Our records hold no such environment any more."
    if environment.team_id != experiment.team_id:
        return None, "The environment it names belongs to another team."
    if started_at is not None and started_at < environment.created_at - SLACK:
        return None, "It started before the environment it names was launched."
    if started_at is not None and environment.destroyed_at and started_at > environment.destroyed_at + SLACK:
        return None, "It started after the environment it names was destroyed."
    return environment, ""


def _environment_fact(environment: Environment, claimed: dict[str, str]) -> Fact:
    """A name may have been changed since, so that another one is no contradiction."""
    return Fact("environment", "Environment", environment.name, Standing.VERIFIED)


def _change_at(environment: Environment, started_at: datetime | None) -> Change | None:
    """The newest change that had built the environment when the run started."""
    rows = Change.objects.filter(workspace_id=environment.pk, status=Change.Status.APPLIED, kind__in=BUILDS)
    if started_at is not None:
        rows = rows.filter(applying_at__lte=started_at + SLACK)
    rows = rows.select_related("module_version__module").defer("module_version__archive", "plan")
    return rows.order_by("-applying_at", "-id").first()


def _state_after(change: Change) -> dict[str, Any]:
    """The Terraform state that the change left, or the last one before it where it changed nothing."""
    rows = StateVersion.objects.filter(workspace_id=change.workspace_id)
    own = rows.filter(change=change).order_by("-id").first()
    state = own or rows.filter(created_at__lte=change.finished_at or change.created_at).order_by("-id").first()
    if state is None:
        return {}
    try:
        read = decrypt_json(bytes(state.cipher))
    except Exception:  # a key that is gone, or a state that is none: the claim then stays a claim
        return {}
    return read if isinstance(read, dict) else {}


def _runtime_of(state: dict[str, Any]) -> tuple[str, str]:
    """Digest and lock of the Python packages in a state."""
    for resource in state.get("resources") or ():
        if resource.get("type") == RUNTIME_TYPE:
            for instance in resource.get("instances") or ():
                attributes = instance.get("attributes") or {}
                return str(attributes.get("id") or ""), str(attributes.get("requirements") or "")
    digest = (state.get("outputs") or {}).get("runtime_digest") or {}
    return str(digest.get("value") or ""), ""


def _runtime_version(requirements: str) -> RuntimeVersion | None:
    if not requirements:
        return None
    rows = RuntimeVersion.objects.select_related("runtime__latest_version").defer("lock", "log")
    return rows.filter(digest=lock_digest(requirements)).first()


def _compared(key: str, label: str, known: str, claim: str) -> Fact:
    if not known:
        note = "Our records do not say; the run claims it." if claim else "Neither our records nor the run say."
        return Fact(key, label, claim, Standing.CLAIMED if claim else Standing.UNKNOWN, note)
    if claim and claim != known:
        note = f"The run claims “{claim[:200]}”; our records say otherwise."
        return Fact(key, label, known, Standing.DISAGREES, note)
    return Fact(key, label, known, Standing.VERIFIED)


def _claims(claimed: dict[str, str], why: str) -> list[Fact]:
    """What the run says of itself, none of it verified."""
    module = f"{claimed.get('slipway.module', '')} {claimed.get('slipway.module_version', '')}".strip()
    named = claimed.get("slipway.environment") or claimed.get("slipway.environment_id", "")
    said = [
        ("environment", "Environment", named),
        ("module", "Module version", module),
        ("plan", "Plan", claimed.get("slipway.plan_hash", "")),
        ("runtime", "Python packages", claimed.get("slipway.runtime_digest", "")),
        ("python", "Python environment", claimed.get("slipway.runtime", "")),
    ]
    first = Fact("environment", "Environment", named, Standing.CLAIMED if named else Standing.UNKNOWN, why)
    rest = [Fact(key, label, value, Standing.CLAIMED, "Claimed by the run.") for key, label, value in said[1:] if value]
    return [first, *rest]
