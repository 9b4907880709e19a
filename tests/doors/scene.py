"""A team with an environment in every state that a door asks about, and everybody who may come to a door."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.tokens import default_token_generator
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from apps.accounts.models import ApiToken, Membership, User
from apps.accounts.services import token_create, token_create_for_environment
from apps.audit.models import AuditEvent
from apps.catalog.models import ModuleRetrieval, ModuleSource
from apps.catalog.services import module_register
from apps.core.crypto import encrypt_json
from apps.environments.models import Environment, Rollout
from apps.environments.services import environment_stop, environment_update
from apps.environments.services.rollouts import rollout_start
from apps.notifications.models import Notification
from apps.policies.models import InputPolicy, Policy
from apps.policies.services import input_policy_set, policy_create
from apps.provisioning.models import Workspace
from apps.runtimes.services import runtime_create
from apps.variable_sets.models import SetVariable
from apps.variable_sets.services import variable_set_create, variable_set_value
from tests.cast import PASSWORD, cast_make
from tests.doors import tracking
from tests.doors.routes import Route
from tests.factories import (
    NOTEBOOK_VERSION,
    MembershipFactory,
    People,
    UserFactory,
    change_drive,
    change_of,
    environment_make,
    environment_running,
    notebook_version,
)

PLAN_HASH = "d" * 64
REGO = 'package slipway\n\nwarn contains "Quiet, please." if input.request.team == "nobody"\n'
GIT_ADDRESS = "https://git.example.com/modules.git"


@dataclass
class Scene:
    people: People
    theo: User  # a teammate: member of vision, owner of nothing
    gone: User  # was a teammate, is switched off
    running: Environment
    stopped: Environment
    failed: Environment
    waiting: Environment  # its change waits for a decision
    membership: Membership  # theo's
    token: ApiToken  # one of dana's
    message: Notification  # in dana's inbox
    event: AuditEvent  # of dana in her team
    variable: SetVariable  # of a set of her team's
    policy: Policy  # for everybody, switched off
    input_policy: InputPolicy  # of the notebook, for her team
    secrets: dict[str, str] = field(default_factory=dict)
    cluster: Environment | None = None  # dana's; nothing listens where it is said to be
    rollout: Rollout | None = None  # pete's, of dana's stopped one
    tracked: tracking.Tracking | None = None  # her team's experiment, run, view and model

    @property
    def persons(self) -> dict[str, User]:
        people = self.people
        return {
            "stranger": people.mallory,
            "teammate": self.theo,
            "owner": people.dana,
            "manager": people.mira,
            "platform engineer": people.pete,
            "auditor": people.ada,
        }


def scene_make() -> Scene:
    people = cast_make()
    theo, gone = UserFactory(username="theo"), UserFactory(username="gone")
    membership = MembershipFactory(user=theo, team=people.vision)
    MembershipFactory(user=gone, team=people.vision)
    notebook_version()
    running = environment_running(people, name="running")
    stopped = environment_running(people, name="stopped")
    environment_stop(environment=stopped, actor=people.dana)
    change_drive(change_of(stopped))
    failed = environment_make(people, name="failed")
    change_drive(change_of(failed), "planning")
    change_drive(change_of(failed), "failed", code="terraform-failed")
    waiting = environment_running(people, name="waiting")
    environment_update(environment=waiting, actor=people.dana, inputs={"memory_gb": 4})
    change_drive(change_of(waiting), "planning")
    change_drive(
        change_of(waiting), "awaiting_approval", plan_hash=PLAN_HASH, plan={"resources": [], "destructive": True}
    )
    newer = notebook_version(version="9.9.0")
    token, _ = token_create(user=people.dana, name="mine", scopes=["read"], expires_at=later())
    message = Notification.objects.create(user=people.dana, text="It stops soon", url=f"/environments/{running.pk}/")
    event = AuditEvent.objects.filter(team_id=people.vision.pk, actor=people.dana).latest("id")
    variable = variable_make(people)
    rules = policies_make(people)
    scene = Scene(
        people, theo, gone, running, stopped, failed, waiting, membership, token, message, event, variable, *rules
    )
    scene.cluster = cluster_make(people)
    runtime_create(actor=people.pete, slug="ml", title="ML", requirements="six\n")
    scene.rollout = rollout_start(actor=people.pete, version=newer, environments=[stopped.pk])
    scene.tracked = tracking.tracking_make(people, running)
    _secrets_make(scene)
    theo.set_password(PASSWORD)
    theo.save(update_fields=["password"])
    gone.is_active = False
    gone.save(update_fields=["is_active"])
    return scene


def policies_make(people: People) -> tuple[Policy, InputPolicy]:
    made = policy_create(actor=people.pete, slug="quiet", title="Quiet", rego=REGO)
    module = notebook_version().module
    own = input_policy_set(actor=people.pete, module=module, team=people.vision, rules={"cpu": {"maximum": 2}})
    assert own is not None
    return made, own


def variable_make(people: People) -> SetVariable:
    row = variable_set_create(actor=people.mira, name="Vision cloud", team=people.vision, target="local")
    return variable_set_value(variable_set=row, actor=people.mira, name="KEY", kind="environment", value="a-secret-one")


def cluster_make(people: People) -> Environment:
    module = Path(__file__).parents[2] / "terraform" / "modules" / "local-dask-cluster"
    cluster = environment_running(people, name="cluster", module_version=module_register(path=module, actor=None))
    outputs = {"address": {"value": "127.0.0.1:1"}, "secret": {"value": "a-clusters-secret"}}
    Workspace.objects.filter(pk=cluster.pk).update(outputs=encrypt_json(outputs))
    return cluster


def later() -> Any:
    return timezone.now() + timedelta(days=1)


def _secrets_make(scene: Scene) -> None:
    for name, user in scene.persons.items():
        scene.secrets[name] = token_create(user=user, name="t", scopes=["write"], expires_at=later())[1]
    dana = scene.people.dana
    scene.secrets["read token"] = token_create(user=dana, name="r", scopes=["read"], expires_at=later())[1]
    scene.secrets["MLflow token"] = token_create(user=dana, name="m", scopes=["mlflow"], expires_at=later())[1]
    old, scene.secrets["expired token"] = token_create(user=dana, name="e", scopes=["write"], expires_at=later())
    ApiToken.objects.filter(pk=old.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    ended, scene.secrets["revoked token"] = token_create(user=dana, name="v", scopes=["write"], expires_at=later())
    ApiToken.objects.filter(pk=ended.pk).update(revoked_at=timezone.now())
    scene.secrets["token of a switched-off person"] = token_create(
        user=scene.gone, name="g", scopes=["write"], expires_at=later()
    )[1]
    scene.secrets["environment token"] = token_create_for_environment(
        user=dana, environment_id=scene.running.pk, name="environment"
    )


def _environment_for(scene: Scene, route: Route) -> Environment:
    if "change_id" in route.names:
        return scene.waiting
    verb = route.template.rstrip("/").rpartition("/")[2]
    chosen = {"start": scene.stopped, "retry": scene.failed, "connection": scene.cluster}
    return chosen.get(verb, scene.running)


def values_for(scene: Scene, route: Route) -> dict[str, str]:
    """A real object of dana's, or of her team's, for every part of the address that varies.

    Raises `LookupError` for a route that nobody has given an object: add it here.
    """
    people, template = scene.people, route.template
    environment = _environment_for(scene, route)
    known: list[tuple[str, dict[str, Any]]] = [
        ("/accounts/tokens/", {"pk": scene.token.pk}),
        ("/accounts/password/", {"uidb64": urlsafe_base64_encode(force_bytes(people.dana.pk)), "token": _reset(scene)}),
        ("/accounts/people/{pk}/", {"pk": people.dana.pk}),
        ("/accounts/people/", {"slug": "vision", "pk": scene.membership.pk}),
        ("/environments/launch/", {"module": "local-notebook"}),
        ("/environments/versions/", {"module": "local-notebook"}),
        ("/environments/rollouts/new/", {"module": "local-notebook"}),
        ("/environments/rollouts/", {"pk": scene.rollout and scene.rollout.pk, "environment_id": scene.stopped.pk}),
        ("/api/v1/rollouts/", {"pk": scene.rollout and scene.rollout.pk}),
        ("/environments/open/", {"slug": environment.slug}),
        ("/environments/", {"pk": environment.pk, "change_id": change_of(environment).pk, "name": "header"}),
        ("/modules/sources/", {"pk": _source(scene).pk}),
        ("/runtimes/", {"slug": "ml", "number": 1}),
        ("/api/v1/runtimes/", {"slug": "ml", "runtime_slug": "ml", "number": 1}),
        ("/modules/", {"slug": "local-notebook", "version": "1.0.0"}),
        ("/policies/inputs/", {"module": "local-notebook"}),
        ("/policies/", {"slug": scene.policy.slug, "number": 1}),
        ("/variable-sets/", {"pk": scene.variable.set_id, "variable_id": scene.variable.pk}),
        ("/inbox/", {"pk": scene.message.pk}),
        ("/api/v1/teams/", {"slug": "vision", "username": "theo"}),
        ("/api/v1/users/", {"username": "dana"}),
        ("/api/v1/environments/", {"pk": environment.pk}),
        ("/api/v1/variable-sets/{set_pk}/", {"set_pk": scene.variable.set_id, "pk": scene.variable.pk}),
        ("/api/v1/variable-sets/", {"pk": scene.variable.set_id}),
        ("/api/v1/policies/", {"slug": scene.policy.slug, "policy_slug": scene.policy.slug, "number": 1}),
        ("/api/v1/input-policies/", {"pk": scene.input_policy.pk}),
        ("/api/v1/changes/", {"pk": change_of(scene.waiting).pk}),
        ("/api/v1/module-sources/", {"pk": _source(scene).pk}),
        ("/api/v1/module-retrievals/", {"pk": _source(scene).retrievals.first().pk}),
        ("/api/v1/modules/", {"slug": "local-notebook", "module_slug": "local-notebook", "version": NOTEBOOK_VERSION}),
        ("/api/v1/audit/", {"id": scene.event.uid}),
        ("/admin/", _admin_values(scene, template)),
    ]
    if scene.tracked is not None:
        known += tracking.values(scene.tracked)
    values = next((given for prefix, given in known if template.startswith(prefix)), {})
    missing = set(route.names) - set(values)
    if missing:
        raise LookupError(f"{template}: give {', '.join(sorted(missing))} a real object in tests/doors/scene.py")
    return {name: str(values[name]) for name in route.names}


def _source(scene: Scene) -> ModuleSource:
    """Where the notebook could come from, with one retrieval that failed."""
    source, made = ModuleSource.objects.get_or_create(kind="git", slug="local-notebook", defaults={"url": GIT_ADDRESS})
    if made:
        ModuleRetrieval.objects.create(source=source, status="failed", problem="gone", requested_by=scene.people.pete)
    return source


def _reset(scene: Scene) -> str:
    return default_token_generator.make_token(scene.people.dana)


def _admin_values(scene: Scene, template: str) -> dict[str, Any]:
    from django.apps import apps
    from django.contrib.contenttypes.models import ContentType

    values: dict[str, Any] = {
        "app_label": "accounts",
        "content_type_id": ContentType.objects.get_for_model(User).pk,
        "object_id": scene.people.dana.pk,
        "url": "none",
    }
    parts = template.strip("/").split("/")
    if (
        len(parts) > 3
        and "{" not in parts[1] + parts[2]
        and parts[1] in {config.label for config in apps.get_app_configs()}
    ):
        row = apps.get_model(parts[1], parts[2])._default_manager.first()
        values["object_id"] = row.pk if row is not None else "1"
    return values


QUERIES = {
    **tracking.QUERIES,
    "/api/v1/input-policies/offer/": "?module=local-notebook&team=vision",
    "/environments/{pk}/log/": "?stream=build&after=0",
    "/environments/{pk}/log/download/": "?stream=build",
}
VARIABLE = {"kind": "environment", "name": "REGION", "value": "nowhere-1", "sensitive": "on"}
PERSON = {"person": "mallory", "role": "member"}
LAUNCH = {
    "name": "new",
    "team": "vision",
    "preset": "small",
    "ttl": "3600",
    "input-cpu": "1",
    "input-memory_gb": "2",
}
REASON = {"reason": "It is too old"}
RUNTIME = {"slug": "new-one", "title": "New", "python": "3.11", "requirements": "six"}
BODIES: dict[str, dict[str, Any]] = {
    **tracking.BODIES,
    "/runtimes/new/": RUNTIME,
    "/runtimes/{slug}/title/": {"title": "Renamed"},
    "/api/v1/runtimes/": RUNTIME,
    "/api/v1/runtimes/{slug}/": {"title": "Renamed"},
    "/api/v1/runtimes/{runtime_slug}/versions/": {"requirements": "idna"},
    **{f"/modules/{{slug}}/versions/{{version}}/{verb}/": REASON for verb in ("deprecate", "revoke", "restore")},
    **{
        f"/api/v1/modules/{{module_slug}}/versions/{{version}}/{verb}/": REASON
        for verb in ("deprecate", "revoke", "restore")
    },
    "/modules/register/": {"slug": "fresh", "url": GIT_ADDRESS},
    "/modules/register/own/folder/": {"slug": "local-notebook"},
    "/modules/sources/{pk}/edit/": {"url": GIT_ADDRESS},
    "/api/v1/modules/": {"slug": "local-notebook"},
    "/api/v1/module-sources/": {"slug": "fresh", "url": GIT_ADDRESS},
    "/api/v1/module-sources/{pk}/": {"url": GIT_ADDRESS},
    "/accounts/sign-in/": {"username": "dana", "password": PASSWORD},
    "/accounts/profile/": {"first_name": "D", "last_name": "", "email": "d@example.com"},
    "/accounts/preferences/": {"theme": "dark", "time_zone": ""},
    "/accounts/theme/": {"theme": "dark"},
    "/accounts/password/": {"current": PASSWORD, "new": "a quite different phrase"},
    "/accounts/tokens/": {"name": "new", "scope": "read", "days": "7"},
    "/accounts/people/new/": {"username": "zoe"},
    "/accounts/people/teams/new/": {"name": "Fraud", "manager": "dana"},
    "/accounts/people/{slug}/add/": PERSON,
    "/accounts/people/{slug}/members/{pk}/role/": {"role": "manager"},
    "/environments/launch/{module}/": LAUNCH,
    "/environments/{pk}/extend/": {"seconds": "3600"},
    "/environments/{pk}/destroy/": {"confirm": "running"},
    "/environments/{pk}/update/": {"input-cpu": "2", "input-memory_gb": "4"},
    "/environments/rollouts/new/{module}/": {"version": "9.9.0", "wave_size": "2"},
    "/environments/{pk}/take-over/": {"takeover-others": "slipway_volume.home = x"},
    "/api/v1/environments/{pk}/take-over/": {"imports": [{"to": "slipway_volume.home", "id": "x"}]},
    "/api/v1/rollouts/": {"module": "local-notebook", "version": "9.9.0"},
    "/api/v1/rollouts/look/": {"module": "local-notebook", "version": "9.9.0"},
    "/api/v1/rollouts/{pk}/values/": {"inputs": {}},
    "/environments/{pk}/changes/{change_id}/apply/": {"plan_hash": PLAN_HASH},
    "/policies/new/": {"slug": "new-one", "title": "New", "rego": REGO},
    "/policies/{slug}/edit/": {"rego": REGO.replace("Quiet", "Silent")},
    "/policies/{slug}/settings/": {"title": "Renamed", "scope": "team:vision"},
    "/policies/inputs/{module}/": {"effect-cpu": "fix", "value-cpu": "1"},
    "/api/v1/policies/": {"slug": "new-one", "title": "New", "rego": REGO},
    "/api/v1/policies/{slug}/": {"title": "Renamed"},
    "/api/v1/policies/{policy_slug}/versions/": {"rego": REGO.replace("Quiet", "Silent")},
    "/api/v1/input-policies/": {"module": "local-notebook", "rules": {"cpu": {"fix": 1}}},
    "/api/v1/input-policies/{pk}/": {"rules": {"cpu": {"fix": 1}}},
    "/variable-sets/new/": {"name": "New", "team": "vision", "target": "local"},
    "/variable-sets/{pk}/edit/": {"name": "Renamed", "target": "local"},
    "/variable-sets/{pk}/variables/new/": VARIABLE,
    "/variable-sets/{pk}/variables/{variable_id}/": {"value": "another-value", "sensitive": "on"},
    "/api/v1/variable-sets/": {"name": "New", "team": "vision", "target": "local"},
    "/api/v1/variable-sets/{pk}/": {"description": "Another one"},
    "/api/v1/variable-sets/{set_pk}/variables/": {"name": "REGION", "value": "nowhere-1"},
    "/api/v1/variable-sets/{set_pk}/variables/{pk}/": {"value": "another-value"},
    "/api/v1/environments/": {"name": "new", "team": "vision", "module": "local-notebook", "preset": "small"},
    "/api/v1/environments/{pk}/": {"inputs": {"memory_gb": 4}},
    "/api/v1/environments/{pk}/extend/": {"seconds": 3600},
    "/api/v1/environments/{pk}/destroy/": {"confirm": "running"},
    "/api/v1/environments/{pk}/upgrade/": {"version": "9.9.0"},
    "/api/v1/changes/{pk}/approve/": {"plan_hash": PLAN_HASH},
    "/api/v1/changes/{pk}/reject/": {"reason": "not now"},
    "/api/v1/teams/{slug}/members/": PERSON,
    "/api/v1/teams/{slug}/members/{username}/": {"role": "manager"},
}
