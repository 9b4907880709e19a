"""What it would take to launch the environment of a run once more: what stays the same, what cannot, and why.

Nothing is launched here, and no secret is read: what was entered as one has to be entered again.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from apps.accounts.models import Membership, User
from apps.audit.models import AuditEvent
from apps.catalog.interface.model import Variable
from apps.catalog.models import ModuleVersion
from apps.environments.models import Environment
from apps.environments.runtime_choice import label_of
from apps.environments.selectors import ttl_limits
from apps.experiments.gateway.run_detail import RunDetail
from apps.experiments.lineage import Lineage
from apps.policies.offer import Offer
from apps.policies.rules import shown
from apps.policies.selectors import offer_for
from apps.runtimes.choosing import refusal, takes_any
from apps.runtimes.models import RuntimeVersion

REPOSITORY, REVISION = "repository", "revision"
COMMIT = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True)
class Point:
    """One thing that a launch is made of: the same as in the run, or not, and why not."""

    label: str
    value: str
    same: bool
    why: str = ""


@dataclass
class Recreation:
    """`stops` says why nothing can be launched at all; without it `version` and what follows are what would be."""

    points: list[Point] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    environment: Environment | None = None
    version: ModuleVersion | None = None
    offer: Offer | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    runtime: str = ""
    preset: str = ""
    ttl_seconds: int | None = None
    secrets: list[Variable] = field(default_factory=list)
    name: str = ""

    @property
    def possible(self) -> bool:
        return not self.stops

    @property
    def same(self) -> list[Point]:
        return [point for point in self.points if point.same]

    @property
    def different(self) -> list[Point]:
        return [point for point in self.points if not point.same]

    def say(self, label: str, value: str, *, same: bool, why: str = "") -> None:
        self.points.append(Point(label, value, same, why))


def recreation_of(*, user: User, detail: RunDetail, lineage: Lineage) -> Recreation:
    """Judged for this person and this moment; what it says may be another thing an hour later."""
    found = Recreation(environment=lineage.environment)
    _datasets(found, detail)
    if lineage.environment is None:
        fact = lineage.fact("environment")
        found.stops.append(f"The environment of this run is not known. {fact.note if fact else ''}".strip())
        return found
    team = lineage.environment.team
    if not Membership.objects.filter(user=user, team=team).exists():
        found.stops.append(f"Only members of {team.name} can launch an environment for it.")
    then = lineage.change.module_version if lineage.change else lineage.environment.module_version
    _version(found, then)
    if found.version is None:
        return found
    if lineage.change is None:
        found.say("Inputs", "as they are now", same=False, why="No applied change is on record from before the run.")
    found.offer = offer_for(version=found.version, team=team)
    _inputs(found, lineage, then)
    _code(found, detail)
    _runtime(found, lineage, then)
    limits = ttl_limits(found.version)
    found.ttl_seconds = min(max(lineage.environment.ttl_seconds, 60), limits.maximum)
    found.preset = lineage.environment.preset if found.offer.interface.preset(lineage.environment.preset) else ""
    found.name = _name(user, lineage.environment.name)
    return found


def _version(found: Recreation, then: ModuleVersion) -> None:
    """The same version; where it is launched no more, the module's present one, which is said."""
    shown_version = f"{then.module.title} {then.version}"
    if then.is_launchable:
        found.version = then
        found.say("Module version", shown_version, same=True)
        return
    state = then.get_status_display().lower()
    why = f"Version {then.version} is {state}{f': {then.status_reason}' if then.status_reason else ''}."
    newest = then.module.latest_version
    if newest is None or not newest.is_launchable:
        found.stops.append(f"{why} Nothing of {then.module.title} can be launched now.")
        return
    found.version = newest
    found.say(
        "Module version", f"{then.module.title} {newest.version}", same=False, why=f"{why} The present one is used."
    )


def _inputs(found: Recreation, lineage: Lineage, then: ModuleVersion) -> None:
    assert found.version is not None
    assert found.offer is not None
    stored = _inputs_at(lineage)
    declared = {variable.name: variable for variable in found.version.parsed().inputs}
    before = {variable.name: variable for variable in then.parsed().inputs}
    secret = {name for name, variable in {**before, **declared}.items() if variable.sensitive}
    found.secrets = [declared[name] for name in stored if name in secret and name in declared and stored[name]]
    plain = {name: value for name, value in stored.items() if name not in secret}
    found.inputs = found.offer.obeyed({name: value for name, value in plain.items() if name in declared})
    same = []
    for name, value in plain.items():
        known = declared.get(name) or before.get(name)
        label = known.label if known else name
        if name in (REPOSITORY, REVISION):
            continue
        if name not in declared:
            found.say(label, shown(value), same=False, why=f"Version {found.version.version} has no such input.")
        elif found.inputs.get(name, value) != value or name in found.offer.fixed:
            now = found.offer.fixed.get(name, found.inputs.get(name))
            if now != value:
                found.say(
                    label, shown(now), same=False, why=f"It was {shown(value)}. Your platform team decides it now."
                )
        elif value not in (None, "", {}, []):
            same.append(f"{label} {shown(value)}")
    found.say("Inputs", ", ".join(same) or "the module's defaults", same=True)
    for variable in found.secrets:
        found.say(
            variable.label,
            "has to be given again",
            same=False,
            why="Secrets are never read back, not by Slipway either.",
        )


def _inputs_at(lineage: Lineage) -> dict[str, Any]:
    """What the inputs were when the run started, secrets masked: from the audit log, which is never changed."""
    assert lineage.environment is not None
    if lineage.change is None:
        return dict(lineage.environment.inputs)
    told = AuditEvent.objects.filter(
        target_type="environment",
        target_id=str(lineage.environment.pk),
        at__lte=lineage.change.planning_at or lineage.change.applying_at or lineage.change.created_at,
        after__has_key="inputs",
    )
    event = told.order_by("-id").first()
    return dict(event.after["inputs"]) if event else dict(lineage.environment.inputs)


def _code(found: Recreation, detail: RunDetail) -> None:
    """Repository and commit. The client's word for both, so that they are named as claims."""
    assert found.version is not None
    names = {variable.name for variable in found.version.parsed().inputs}
    tags = detail.tags
    commit = tags.get("slipway.git.commit") or tags.get("mlflow.source.git.commit", "")
    claimed = tags.get("slipway.git.repository") or tags.get("mlflow.source.git.repoURL", "")
    repository = found.inputs.get(REPOSITORY) or claimed
    found.inputs.pop(REVISION, None)
    if not commit:
        value = "no commit is known" if not repository else f"{repository}, default branch"
        found.say(
            "Code", value, same=False, why="The run was not started in a Git working copy, or its client said nothing."
        )
    if not repository or REPOSITORY not in names:
        if commit:
            why = "No repository is known for it." if not repository else "This module clones no repository."
            found.say(
                "Code", f"commit {commit[:12]}", same=False, why=f"{why} Files of the old environment are not copied."
            )
        return
    found.inputs[REPOSITORY] = repository
    if not commit:
        return
    if not COMMIT.fullmatch(commit):
        found.say("Code", repository, same=False, why=f"“{commit[:40]}” is not a commit; the default branch is cloned.")
    elif REVISION not in names:
        why = f"Version {found.version.version} checks out the default branch only: check out {commit[:12]} by hand."
        found.say("Code", repository, same=False, why=why)
    else:
        found.inputs[REVISION] = commit
        found.say("Code", f"{repository} at {commit[:12]}", same=True)
    if tags.get("slipway.git.dirty") == "true":
        why = "The working copy had changes that were not committed. They are not in the repository."
        found.say("Uncommitted code", "is lost", same=False, why=why)


def _runtime(found: Recreation, lineage: Lineage, then: ModuleVersion) -> None:
    """The Python environment it ran in; a newer version of it, or the module's own, where that is gone."""
    assert found.version is not None
    assert lineage.environment is not None
    interface = found.version.parsed()
    was = lineage.runtime or (None if lineage.requirements else lineage.environment.runtime_version)
    if was is None:
        same = found.version.pk == then.pk
        why = "" if same else f"Version {found.version.version} of the module brings packages of its own."
        found.say("Python packages", "as the module brings them", same=same, why=why)
        return
    if not takes_any(interface):
        found.say("Python packages", "as the module brings them", same=False, why=refusal(interface, was))
        return
    reason = _standing(was) or refusal(interface, was)
    if not reason:
        found.runtime = str(was)
        found.say("Python packages", label_of(was), same=True)
        return
    newest = was.runtime.latest_version
    if newest and newest.pk != was.pk and not _standing(newest) and not refusal(interface, newest):
        found.runtime = f"{was.runtime.slug}@{newest.number}"
        instead = f"{was.runtime.title}, version {newest.number}"
    else:
        instead = "as the module brings them"
    found.say("Python packages", instead, same=False, why=f"{was}: {reason}")


def _standing(version: RuntimeVersion) -> str:
    if version.status == RuntimeVersion.Status.READY:
        return ""
    return f"{version.get_status_display().lower()}{f' ({version.reason})' if version.reason else ''}."


def _datasets(found: Recreation, detail: RunDetail) -> None:
    for dataset in detail.datasets:
        value = f"{dataset.name} {dataset.digest}".strip()
        found.say("Data set", value, same=True, why="Listed; it is read from where the code reads it.")


def _name(user: User, base: str) -> str:
    taken = set(Environment.objects.owned_by(user).living().values_list("name", flat=True))
    stem = base[:45]
    names = (f"{stem} again", *(f"{stem} again {number}" for number in range(2, 200)))
    return next((name for name in names if name not in taken), stem)
