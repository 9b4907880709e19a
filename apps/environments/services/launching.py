"""Launching: from a filled form to an environment, its workspace, its secrets and its first change."""

import re
import secrets
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from apps.accounts.models import Membership, Team, User
from apps.accounts.services import token_create_for_environment
from apps.catalog.interface.model import ModuleInterface, Preset
from apps.catalog.models import Module, ModuleVersion
from apps.core.crypto import encrypt_json
from apps.environments.credentials import lacking_sentence
from apps.environments.durations import duration_words
from apps.environments.exceptions import CredentialsMissing, LaunchInvalid, NameTaken
from apps.environments.models import Environment
from apps.environments.runtime_choice import runtime_default, runtime_read
from apps.environments.selectors import ttl_limits
from apps.environments.services.locking import begin
from apps.environments.services.space import machine_require_space
from apps.environments.services.values import inputs_fields
from apps.environments.takeover import imports_check, imports_told
from apps.policies.selectors import offer_for
from apps.provisioning.imports import Import
from apps.provisioning.models import Change
from apps.provisioning.services import workspace_create
from apps.runtimes.models import RuntimeVersion
from apps.variable_sets.selectors import credentials_lacking

SHORTEST_TTL = 60
# Letters and digits that cannot be taken for one another when an address is read aloud.
SLUG_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
LAUNCHES = uuid.UUID("6f1c0c1e-7a50-4ad0-9a44-6f2f6b0d1b57")


@dataclass(frozen=True)
class Wish:
    """What was asked for, checked."""

    name: str
    team: Team
    version: ModuleVersion
    preset: str
    inputs: dict[str, Any]
    ttl_seconds: int
    runtime: RuntimeVersion | None
    imports: list[Import]


def environment_launch(
    *,
    actor: User,
    team: Team,
    module_version: ModuleVersion,
    name: str,
    preset: str = "",
    inputs: dict[str, Any] | None = None,
    ttl_seconds: int | None = None,
    token: str = "",
    runtime: str | None = None,
    imports: Iterable[Import] = (),
) -> Environment:
    """Create an environment of `actor` in `team` and queue its first change.

    `inputs` win over the preset's. `token` names one filled form: the same token again returns the environment that it
    made. `runtime` names a Python environment ("slug" or "slug@3"), "" stands for what the module brings, None for the
    module's default. `imports` are existing things it takes over; its plan then waits. Raises `LaunchInvalid` (fields
    name, team, preset, ttl, runtime, imports and the inputs), `CredentialsMissing`, `NameTaken`, `DiskShort`.
    """
    environment_id = uuid.uuid5(LAUNCHES, f"{actor.pk}:{token}") if token else uuid.uuid4()
    known = Environment.objects.filter(pk=environment_id).first() if token else None
    if known is not None:
        return known
    wish = _check(actor, team, module_version, name, preset, inputs or {}, ttl_seconds, runtime)
    wish = replace(wish, imports=imports_check(interface=module_version.parsed(), actor=actor, imports=imports))
    machine_require_space(None)
    try:
        with transaction.atomic():
            return _create(environment_id, actor, wish)
    except IntegrityError:
        # Two submits at once: the other one has won, either with the same form or with the same name.
        known = Environment.objects.filter(pk=environment_id).first()
        if known is not None:
            return known
        raise _name_taken(wish.name) from None


def name_suggest(*, user: User, module: Module) -> str:
    """A name that the person has not given to a living environment yet: "notebook", "notebook 2"."""
    base = module.title.lower()[:50]
    taken = set(Environment.objects.owned_by(user).living().values_list("name", flat=True))
    return next(name for name in _numbered(base) if name not in taken)


def _numbered(base: str) -> Iterator[str]:
    yield base
    number = 2
    while True:
        yield f"{base} {number}"
        number += 1


def _check(
    actor: User,
    team: Team,
    version: ModuleVersion,
    name: str,
    preset: str,
    inputs: dict[str, Any],
    ttl_seconds: int | None,
    runtime: str | None,
) -> Wish:
    if not version.is_launchable:
        state = version.get_status_display().lower()
        raise LaunchInvalid(errors={"version": [f"Version {version.version} is {state} and cannot be launched."]})
    errors: dict[str, list[str]] = {}
    name = " ".join(name.split())
    if message := _name_error(name):
        errors["name"] = [message]
    if not Membership.objects.filter(user=actor, team=team).exists():
        errors["team"] = ["Choose a team you belong to."]
    offer = offer_for(version=version, team=team)
    interface = offer.interface
    size = interface.preset(preset)
    if preset and size is None:
        known = ", ".join(known.name for known in interface.presets) or "none"
        errors["preset"] = [f"There is no size “{preset}”. There are: {known}."]
    limits = ttl_limits(version)
    ttl = limits.default if ttl_seconds is None else ttl_seconds
    if not SHORTEST_TTL <= ttl <= limits.maximum:
        errors["ttl"] = [f"Choose between 1 min and {duration_words(limits.maximum)}."]
    values, input_errors = offer.clean({**(size.inputs if size else {}), **inputs})
    errors = {**input_error_names(input_errors), **errors}
    chosen = None
    try:
        chosen = runtime_default(interface) if runtime is None else runtime_read(interface, runtime)
    except LaunchInvalid as refused:
        errors |= refused.errors
    if errors:
        raise LaunchInvalid(errors=errors)
    if credentials_lacking(interfaces=[version.parsed()], teams=[team]):
        sentence = lacking_sentence(version.parsed(), [team])
        raise CredentialsMissing(sentence, errors={"team": [sentence]})
    if Environment.objects.owned_by(actor).living().filter(name=name).exists():
        raise _name_taken(name)
    return Wish(name, team, version, preset_named(interface, size, values), values, ttl, chosen, [])


def input_error_names(errors: dict[str, list[str]]) -> dict[str, list[str]]:
    """Messages of the module's inputs under the names a request gives them: `inputs.memory_gb`."""
    return {f"inputs.{name}" if name else "inputs": messages for name, messages in errors.items()}


def preset_named(interface: ModuleInterface, size: Preset | None, values: dict[str, Any]) -> str:
    """The name of the size that the values are; nothing for a size of one's own."""
    sizes = [size, *interface.presets] if size else interface.presets
    return next((one.name for one in sizes if all(values.get(n) == v for n, v in one.inputs.items())), "")


def _name_error(name: str) -> str:
    if not name:
        return "Give it a name."
    if len(name) > 60:
        return "At most 60 characters."
    if not re.search(r"[^\W_]", name):
        return "A name has at least one letter or digit."
    if not name.isprintable():
        return "Leave out characters that cannot be seen."
    return ""


def _name_taken(name: str) -> NameTaken:
    return NameTaken(errors={"name": [f"You already have an environment “{name}”. Choose another name."]})


def _slug(name: str) -> str:
    """Readable, and with a random part: an address is never used again, not even by a namesake."""
    tail = "".join(secrets.choice(SLUG_LETTERS) for _ in range(6))
    return f"{slugify(name)[:40].strip('-') or 'env'}-{tail}".replace("_", "-")


def _create(environment_id: uuid.UUID, actor: User, wish: Wish) -> Environment:
    module = wish.version.module
    workspace = workspace_create(
        id=environment_id,
        name=wish.name,
        team=wish.team,
        owner=actor,
        module_version=wish.version,
        target=module.target,
    )
    token = token_create_for_environment(user=actor, environment_id=environment_id, name=wish.name)
    environment = Environment(
        id=environment_id,
        name=wish.name,
        slug=_slug(wish.name),
        team=wish.team,
        owner=actor,
        workspace=workspace,
        module=module,
        module_version=wish.version,
        runtime_version=wish.runtime,
        preset=wish.preset,
        secrets_cipher=encrypt_json({"mlflow_tracking_token": token}),
        ttl_seconds=wish.ttl_seconds,
        **inputs_fields(wish.version.parsed().variables, wish.inputs),
    )
    environment.save(force_insert=True)
    shown = {
        "name": wish.name,
        "module": module.slug,
        "module_version": wish.version.version,
        "preset": wish.preset,
        **({"runtime": str(wish.runtime)} if wish.runtime else {}),
        "inputs": environment.inputs,
        "ttl_seconds": wish.ttl_seconds,
    }
    shown |= imports_told(wish.imports)
    kind = Change.Kind.CREATE
    begin(environment, kind=kind, actor=actor, desired_running=True, audit=({}, shown), imports=wish.imports)
    return environment
