"""Registering a model that a run logged, as a version of a new or known registered model of the run's team."""

import re
from dataclasses import dataclass

from django.db import transaction

from apps.accounts.models import Membership, Team, User
from apps.audit.services import audit_record
from apps.core.exceptions import NotAllowed
from apps.core.queue import enqueue
from apps.experiments.exceptions import TrackerAway, TrackerRefused
from apps.experiments.gateway.workspaces import workspace_of
from apps.experiments.mlflow_ownership import model_name
from apps.experiments.mlflow_rules import TEAM_TAG, Kind, Reference
from apps.experiments.models import Run
from apps.experiments.services.indexing import run_touch
from apps.registry import gateway, reading
from apps.registry.auditing import AuditTarget
from apps.registry.exceptions import ModelNameTaken, RegisterInvalid
from apps.registry.models import RegisteredModel
from apps.registry.selectors import runs_seen
from apps.registry.services.indexing import registry_touch, team_of
from apps.registry.services.locking import model_lock
from apps.registry.services.versions import USER_TAG

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}", re.ASCII)
PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9 ._-]*(/[A-Za-z0-9_-][A-Za-z0-9 ._-]*){0,8}", re.ASCII)
# Says which press of the button made a version: a second press of the same finds it.
REQUEST_TAG = "slipway.request"


@dataclass(frozen=True)
class Registered:
    """`already` where an earlier press of the same button has made it."""

    name: str
    version: int
    already: bool = False


def run_found(*, user: User, run_id: str) -> Run | None:
    """A run the person sees; one of the last seconds is read now. None for anything else."""
    if not run_id.isascii() or not run_id.isalnum() or len(run_id) > 32:
        return None
    run = runs_seen(user, [run_id]).get(run_id)
    if run is not None:
        return run
    try:
        run_touch(run_id)
    except (TrackerAway, TrackerRefused):
        return None
    return runs_seen(user, [run_id]).get(run_id)


def may_register(user: User, run: Run) -> bool:
    """Members of the team whose experiment the run lies in."""
    team = run.experiment.team_id
    return user.is_active and team is not None and Membership.objects.filter(user=user, team_id=team).exists()


def version_register(
    *, actor: User, run: Run, source: str, name: str, is_new: bool, request: str, description: str = ""
) -> Registered:
    """`source` is a logged model's id ("m-…") or a path of the run's artifacts; `name` the whole name of the model.

    `request` is a random text of the form that was sent. Raises `RegisterInvalid` (fields model, name), `NotAllowed`,
    `ModelNameTaken`, `TrackerAway`.
    """
    team = run.experiment.team
    if team is None or not may_register(actor, run):
        raise NotAllowed("Only somebody of the run's team registers what came out of it.")
    if is_new:
        _name_check(name, team)
        name = model_name(workspace_of(Reference(Kind.RUN, run.run_id)), name)
    elif not RegisteredModel.objects.kept().filter(name=name, team=team).exists():
        raise RegisterInvalid(errors={"name": [f"{team.name} has no model of this name."]})
    address, logged = _source(run, source)
    made = _register(actor, team, run, address, logged, name, is_new, request, description)
    try:
        model = registry_touch(name)
    except TrackerAway:
        model = None  # The next round finds it.
    enqueue("apps.registry.tasks.versions_look")
    if model is not None and not made.already:
        _record(actor, model, run, made, is_new)
    return made


@transaction.atomic
def _register(
    actor: User,
    team: Team,
    run: Run,
    address: str,
    logged: str,
    name: str,
    is_new: bool,
    request: str,
    description: str,
) -> Registered:
    """Under the model's lock, so that two presses of a button come one after the other."""
    model_lock(name)
    known = gateway.model_get(name)
    if known is not None:
        for version in gateway.versions_of(name):
            if request and reading.tags_read(version).get(REQUEST_TAG) == request:
                return Registered(name, reading.whole(version.get("version")), already=True)
        if is_new:
            message = f"There is a model “{name}” already. Choose it in the list, or give another name."
            raise ModelNameTaken(message, errors={"new_name": [message]})
        if team_of(known) != team:
            raise RegisterInvalid(errors={"name": ["This model belongs to another team now."]})
    try:
        if known is None:
            gateway.model_create(name, tags={TEAM_TAG: team.slug, USER_TAG: actor.username}, description=description)
        tags = {USER_TAG: actor.username, REQUEST_TAG: request}
        made = gateway.version_create(name, source=address, run_id=run.run_id, model_id=logged, tags=tags)
    except TrackerRefused as refused:
        raise RegisterInvalid(errors={"model": [str(refused)]}) from refused
    return Registered(name, reading.whole(made.get("version")))


def _name_check(name: str, team: Team) -> None:
    prefix, dot, rest = name.partition(".")
    if prefix != team.slug or not dot or not NAME.fullmatch(rest) or rest != rest.strip():
        text = "Use up to 100 letters, digits, spaces, dots, hyphens and underscores, with a letter or digit first."
        raise RegisterInvalid(errors={"new_name": [text]})


def _source(run: Run, source: str) -> tuple[str, str]:
    """MLflow's address of what is registered, and the logged model's id."""
    if not source.startswith("m-"):
        if not PATH.fullmatch(source):
            raise RegisterInvalid(errors={"model": ["Choose one of the models that the run logged."]})
        return f"runs:/{run.run_id}/{source}", ""
    found = gateway.logged_model_get(source) if re.fullmatch(r"m-[0-9a-f]{1,60}", source) else None
    info = (found or {}).get("info") or {}
    if info.get("source_run_id") != run.run_id:
        raise RegisterInvalid(errors={"model": ["The run did not log this model."]})
    return f"models:/{source}", source


def _record(actor: User, model: RegisteredModel, run: Run, made: Registered, is_new: bool) -> None:
    if is_new:
        audit_record(action="registry:model:created", actor=actor, target=AuditTarget(model), team_id=model.team_id)
    audit_record(
        action="registry:version:registered",
        actor=actor,
        target=AuditTarget(model),
        team_id=model.team_id,
        after={"version": made.version, "run": run.run_id},
    )
