"""Deployments that are environments of kind endpoint: their inputs say which model version they serve."""

import json
import math
from collections.abc import Collection
from time import monotonic
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import requests
from django.urls import reverse
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from apps.accounts.models import Membership, User
from apps.catalog.models import Module, ModuleVersion
from apps.core.exceptions import NotAllowed
from apps.environments.access.contracts import Activity
from apps.environments.models import Environment
from apps.environments.selectors import application_upstream, environment_get
from apps.environments.services.activity import activity_record
from apps.environments.words import status_word
from apps.provisioning.agent.runtime_specs import module_runtime
from apps.registry.deployed import Answer, Deployment, Lacking
from apps.registry.exceptions import NotDeployed, PredictionFailed, PredictionInvalid
from apps.registry.models import ModelVersion as RegisteredVersion
from apps.registry.models import RegisteredModel
from apps.registry.permissions import can as may_change
from apps.registry.reading import plain, text, whole
from apps.runtimes.lockfile import lock_packages
from apps.runtimes.models import RuntimeVersion

MODULE = "local-model-endpoint"
MODULES_PYTHON = "3.11"
NAME = "environment"
CONNECT_SECONDS, PREDICT_SECONDS = 3.0, 20.0
ANSWER_BYTES = 1024 * 1024
# A requirement that another package stands for: the client without its server loads models as well.
STANDS_FOR = {"mlflow": "mlflow-skinny"}


class EndpointEnvironments:
    name = NAME

    def find(self, models: Collection[str], user: User) -> list[Deployment]:
        rows = Environment.objects.visible_to(user).living()
        rows = rows.filter(module__kind=Module.Kind.ENDPOINT, inputs__model_name__in=list(models))
        found = list(rows.select_related("team", "owner", "module").defer("inputs_cipher", "secrets_cipher"))
        # Whoever launches one may write any name into it: it counts where the model is of the environment's own team.
        teams = RegisteredModel.objects.filter(name__in={str(row.inputs["model_name"]) for row in found})
        owners = dict(teams.values_list("name", "team_id"))
        counted = [row for row in found if owners.get(str(row.inputs["model_name"])) == row.team_id]
        own_teams = set(Membership.objects.filter(user=user).values_list("team_id", flat=True)) if counted else set()
        return [_deployment(row, may=_may_predict(user, row, own_teams)) for row in counted]

    def predict(self, key: str, user: User, payload: dict[str, Any]) -> Answer:
        environment = _environment(key, user)
        if not _may_predict(user, environment, set(user.memberships.values_list("team_id", flat=True))):
            raise NotAllowed(_who_may(environment))
        upstream = application_upstream(environment)
        if upstream.status != Environment.Status.RUNNING or not upstream.address:
            raise PredictionFailed(f"“{environment.name}” does not answer: {status_word(environment).label.lower()}.")
        activity_record(environment_id=environment.pk, kind=Activity.CHANGE)
        return _ask(f"{upstream.url}/invocations", upstream.authorization or "", payload, environment.name)

    def deploy_url(self, version: RegisteredVersion, user: User) -> str:
        model = version.model
        if model.team is None or not may_change(user, model) or _module() is None:
            return ""
        name = f"{model.name.removeprefix(f'{model.team.slug}.')} {version.version}"[-60:]
        values = {"model_name": model.name, "model_version": version.version, "team": model.team.slug, "name": name}
        if any(not each.held for each in self.lacking(version)) and (other := _runtime_that_has(version)):
            values["runtime"] = other
        return f"{reverse('environments:launch_module', args=[MODULE])}?{urlencode(values)}"

    def lacking(self, version: RegisteredVersion) -> list[Lacking]:
        module = _module()
        lock = module_runtime(module.pk).lock if module else None
        if lock is None:
            return []
        packages = {each["name"]: each["version"] for each in lock_packages(lock, python=MODULES_PYTHON)}
        return [*_other_python(version, MODULES_PYTHON), *requirements_lacking(version.requirements, packages)]


def requirements_lacking(requirements: list[str], packages: dict[str, str]) -> list[Lacking]:
    """Lines of requirements.txt that packages (canonical name to version) do not meet; what is missing comes first."""
    found = []
    for line in requirements:
        try:
            wanted = Requirement(line.partition(" #")[0].strip())
        except InvalidRequirement:
            continue
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        name = canonicalize_name(wanted.name)
        held = packages.get(name) or packages.get(STANDS_FOR.get(name, ""), "")
        if not held or not wanted.specifier.contains(held, prereleases=True):
            found.append(Lacking(wanted.name, str(wanted.specifier), held))
    return sorted(found, key=lambda each: bool(each.held))


def _other_python(version: RegisteredVersion, held: str) -> list[Lacking]:
    wanted = ".".join(version.python.split(".")[:2])
    return [Lacking("Python", wanted, held)] if wanted and wanted != held else []


def _runtime_that_has(version: RegisteredVersion) -> str:
    """A Python environment with every package of the model, "slug@3"; empty where there is none."""
    rows = RuntimeVersion.objects.choosable().filter(runtime__latest_version__pk__isnull=False)
    for row in rows.select_related("runtime").only("packages", "number", "runtime__slug", "runtime__python")[:50]:
        packages = {each["name"]: each["version"] for each in row.packages}
        lacks = requirements_lacking(version.requirements, packages)
        if all(each.held for each in lacks) and {"mlflow-skinny", "fastapi", "uvicorn", "pandas"} <= packages.keys():
            return str(row)
    return ""


def _module() -> ModuleVersion | None:
    module = Module.objects.filter(slug=MODULE).select_related("latest_version").first()
    return module.latest_version if module else None


def _may_predict(user: User, row: Environment, own_teams: Collection[UUID]) -> bool:
    """Its owner, and for our own endpoint module everybody of its team, managers as well: they may
    deploy the same version themselves. Auditors and platform engineers who are not of the team ask it nothing.

    A prediction is a call of the portal's to /invocations; opening the application stays the owner's.
    """
    if not user.is_active:
        return False
    return row.owner_id == user.pk or (row.module.slug == MODULE and row.team_id in own_teams)


def _who_may(row: Environment) -> str:
    if row.module.slug == MODULE:
        return f"Only somebody of team {row.team.name} sends it predictions from here."
    return f"Only its owner, {row.owner.display_name}, sends it predictions from here."


def _deployment(row: Environment, *, may: bool) -> Deployment:
    word = status_word(row)
    serves = row.status == Environment.Status.RUNNING
    why = "" if may else _who_may(row)
    return Deployment(
        key=f"{NAME}:{row.pk}",
        model=str(row.inputs["model_name"]),
        version=whole(row.inputs.get("model_version")),
        title=row.name,
        url=reverse("environments:detail", args=[row.pk]),
        owner=row.owner.display_name,
        tone=word.tone,
        label=word.label,
        reason=row.status_reason,
        serves=serves,
        may_predict=may and serves,
        why_not=why or ("" if serves else f"It does not answer: {word.label.lower()}. {row.status_reason}".strip()),
        last_used_at=row.last_activity_at,
    )


def _environment(key: str, user: User) -> Environment:
    try:
        environment = environment_get(user=user, environment_id=UUID(key.removeprefix(f"{NAME}:")))
    except ValueError:
        environment = None
    if environment is None or environment.module.kind != Module.Kind.ENDPOINT:
        raise NotDeployed("This deployment is no longer there.")
    return environment


def _ask(url: str, authorization: str, payload: dict[str, Any], name: str) -> Answer:
    """One POST, bounded in time and size; no redirect is followed, no proxy of the machine's asked."""
    began = monotonic()
    session = requests.Session()
    session.trust_env = False
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    try:
        with session.post(
            url,
            data=json.dumps(payload, allow_nan=False).encode(),
            headers=headers,
            timeout=(CONNECT_SECONDS, PREDICT_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as answer:
            content = _content(answer, began)
    except requests.Timeout as error:
        raise PredictionFailed(f"“{name}” gave no answer within {PREDICT_SECONDS:.0f} s.") from error
    except requests.RequestException as error:
        raise PredictionFailed(f"“{name}” does not answer. Its page and its log say more.") from error
    finally:
        session.close()
    seconds = monotonic() - began
    try:
        data = plain(json.loads(content, parse_constant=str))
    except (ValueError, RecursionError):
        data = text(content.decode("utf-8", "replace"), 2000)
    if answer.status_code != 200:
        said = data.get("message") or data.get("error") if isinstance(data, dict) else data
        sentence = f"The model said ({answer.status_code}): {str(said)[:1000]}"
        raise PredictionInvalid(sentence) if answer.status_code in (400, 422) else PredictionFailed(sentence)
    return Answer(data, seconds)


def _content(answer: requests.Response, began: float) -> bytes:
    held = bytearray()
    for chunk in answer.iter_content(64 * 1024):
        held += chunk
        if len(held) > ANSWER_BYTES:
            raise PredictionFailed(f"The answer is larger than {ANSWER_BYTES // 2**20} MB. Ask the endpoint itself.")
        if monotonic() - began > PREDICT_SECONDS:
            raise PredictionFailed(f"The answer was not whole within {math.ceil(PREDICT_SECONDS)} s.")
    return bytes(held)
