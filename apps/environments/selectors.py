"""Reads over environments; every query that starts from a person goes through `visible_to`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Prefetch, Q, QuerySet

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.catalog.interface.difference import interface_difference
from apps.catalog.interface.model import Application
from apps.catalog.models import ModuleVersion
from apps.core.templatetags.portal_ui import bytes_size
from apps.environments.access.contracts import Upstream
from apps.environments.models import Environment
from apps.provisioning.losses import holds_data, losses_in
from apps.provisioning.models import Change, ServiceStatus, Workspace
from apps.provisioning.selectors import workspace_outputs

S = Environment.Status
MASK = "••••••"
SCOPES = ("mine", "team", "all")
ORDERINGS = {
    "name": F("name").asc(),
    "status": F("status").asc(),
    "team": F("team__name").asc(),
    "module": F("module__title").asc(),
    "owner": F("owner__username").asc(),
    "created": F("created_at").asc(),
    "expires": F("expires_at").asc(nulls_last=True),
    "-name": F("name").desc(),
    "-status": F("status").desc(),
    "-team": F("team__name").desc(),
    "-module": F("module__title").desc(),
    "-owner": F("owner__username").desc(),
    "-created": F("created_at").desc(),
    "-expires": F("expires_at").desc(nulls_last=True),
}
DEFAULT_ORDERING = "-created"
# What a row of the list page shows, is ordered by and decides its button by.
LISTED = (
    "name", "slug", "status", "status_reason", "failure", "created_at", "expires_at", "workspace_id",
    "module_version_id", "team__name", "team__slug", "owner__username", "owner__first_name", "owner__last_name",
    "module__title", "module__slug",
)  # fmt: skip


@dataclass(frozen=True)
class TtlLimits:
    """How long an environment of a module runs, in seconds: unless told otherwise, and at most."""

    default: int
    maximum: int


def ttl_limits(version: ModuleVersion) -> TtlLimits:
    ttl = version.interface["ttl"]
    return TtlLimits(min(ttl["default_s"], ttl["maximum_s"]), ttl["maximum_s"])


def applications_of(version: ModuleVersion) -> tuple[Application, ...]:
    """The web applications that the module declares, the first one being what “Open” opens."""
    return tuple(Application(**declared) for declared in version.interface["applications"])


def is_serving(environment: Environment) -> bool:
    """Whether its application answers: it runs, or is being changed in place while it runs on."""
    if environment.status == S.RUNNING:
        return True
    if environment.status not in (S.UPDATING, S.AWAITING_APPROVAL) or not environment.workspace_id:
        return False
    return ServiceStatus.objects.filter(workspace_id=environment.workspace_id, status="running").exists()


def application_upstream(environment: Environment) -> Upstream:
    """Where the access proxy finds the environment's first application, and what it says to be let in."""
    applications = applications_of(environment.module_version)
    status = S.RUNNING if is_serving(environment) else environment.status
    known = {"environment_id": str(environment.pk), "slug": environment.slug, "status": str(status)}
    if not applications or environment.workspace is None or status != S.RUNNING:
        return Upstream(**known, title=applications[0].title if applications else environment.name)
    application = applications[0]
    if application.external:
        # It has an address of its own; the proxy has nothing to pass on to.
        return Upstream(**known, title=application.title)
    outputs = workspace_outputs(environment.workspace)
    return Upstream(
        **known,
        address=str(outputs.get(application.address_output, {}).get("value") or ""),
        secret=str(outputs.get(application.secret_output, {}).get("value") or ""),
        auth=application.auth,
        title=application.title,
    )


def environments_with_kernels() -> list[tuple[Upstream, datetime | None]]:
    """Where running notebooks answer about their kernels, and since when one was known to compute."""
    running = Environment.objects.filter(status=S.RUNNING).select_related("workspace").prefetch_related(versions_once())
    found = []
    for environment in running.defer("workspace__resources"):
        applications = applications_of(environment.module_version)
        upstream = application_upstream(environment)
        if applications and applications[0].idle_probe == "jupyter" and upstream.address:
            found.append((upstream, environment.kernels_busy_since))
    return found


def environment_get(*, user: User, environment_id: UUID) -> Environment | None:
    """One environment with everything its page names, or None where the person may not see it."""
    return environments_full(Environment.objects.visible_to(user)).filter(pk=environment_id).first()


def environments_full(rows: QuerySet[Environment]) -> QuerySet[Environment]:
    return rows.select_related(
        "team", "owner", "module", "module__latest_version", "module_version", "workspace", "workspace__machine",
        "runtime_version__runtime",
    ).defer(
        "module_version__archive", "module__latest_version__archive", "module_version__readme",
        *(f"runtime_version__{name}" for name in ("lock", "requirements", "log")),
    )  # fmt: skip


def environments_list(
    *,
    user: User,
    scope: str = "mine",
    status: str = "",
    module: str = "",
    team: str = "",
    search: str = "",
    ordering: str = DEFAULT_ORDERING,
) -> QuerySet[Environment]:
    """The list page's rows. Destroyed ones are shown only when asked for by status."""
    rows = Environment.objects.visible_to(user)
    if scope == "mine":
        rows = rows.owned_by(user)
    elif scope == "team":
        rows = rows.filter(team__in=user.memberships.values("team_id"))
    rows = rows.filter(status=status) if status else rows.living()
    if module:
        rows = rows.filter(module__slug=module)
    if team:
        rows = rows.filter(team__slug=team)
    for word in search.split()[:8]:
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(slug__icontains=word)
            | Q(owner__username__icontains=word)
            | Q(module__title__icontains=word)
            | Q(status_reason__icontains=word)
        )
    order = ORDERINGS.get(ordering, ORDERINGS[DEFAULT_ORDERING])
    rows = rows.select_related("team", "owner", "module").prefetch_related(versions_once())
    return rows.only(*LISTED).order_by(order, "id")


def versions_once() -> "Prefetch[str, QuerySet[ModuleVersion], str]":
    """The module versions of a list, each read once: joined, its whole interface would come with every row."""
    return Prefetch("module_version", ModuleVersion.objects.defer("archive", "readme"))


def has_run(environment: Environment) -> bool:
    """Whether its launch has ever been finished."""
    return Change.objects.filter(
        workspace_id=environment.pk, kind=Change.Kind.CREATE, status=Change.Status.APPLIED
    ).exists()


def losses_shown(change: Change) -> list[dict[str, Any]]:
    """Data that the plan would lose, in words: `{label, address, text}`."""
    shown = []
    for loss in losses_in(change.plan):
        size = loss.get("size_bytes")
        held = f" ({'up to ' if loss.get('size_is_limit') else ''}{bytes_size(size)})" if size is not None else ""
        how = "would be deleted and made anew, empty" if loss["action"] == "replace" else "would be deleted"
        shown.append({**loss, "text": f"{loss['label']}{held} {how}"})
    return shown


def files_would_be_lost(environment: Environment) -> bool:
    """Whether destroying it loses files: its module or what was built keeps some, and something has been built."""
    interface = environment.module_version.interface
    declared = interface.get("data_resources") or ()
    built = environment.workspace.resources if environment.workspace else []
    if not interface.get("files_lost_on_destroy"):
        return any(holds_data(str(item.get("type")), str(item.get("address")), declared) for item in built)
    if environment.status in (S.RUNNING, S.STOPPED):
        return True
    return Change.objects.filter(workspace_id=environment.pk).exclude(applying_at=None).exists()


def changes_of(environment: Environment, limit: int = 50) -> list[Change]:
    rows = Change.objects.filter(workspace_id=environment.pk).select_related("requested_by", "approved_by")
    return list(rows.defer("values").order_by("-created_at", "-id")[:limit])


def change_last(environment: Environment) -> Change | None:
    """The newest change, looked at for why something failed; drift checks say nothing of that."""
    rows = Change.objects.filter(workspace_id=environment.pk).exclude(kind=Change.Kind.REFRESH)
    return rows.select_related("requested_by").defer("values").order_by("-created_at").first()


def activity_of(environment: Environment, limit: int = 100) -> list[AuditEvent]:
    """What people and the portal did to it, newest first."""
    rows = AuditEvent.objects.filter(target_type="environment", target_id=str(environment.pk))
    return list(rows.select_related("actor").order_by("-id")[:limit])


def outputs_shown(workspace: Workspace | None) -> dict[str, Any]:
    """Outputs of the last apply for a page or the API; sensitive ones are masked."""
    if workspace is None:
        return {}
    return {
        name: MASK if output.get("sensitive") else output.get("shown", output.get("value"))
        for name, output in workspace_outputs(workspace).items()
    }


def resources_shown(environment: Environment) -> list[dict[str, Any]]:
    """What Terraform has made, with the words the module gives its resources."""
    labels = environment.module_version.interface.get("resource_labels") or {}
    workspace = environment.workspace
    return [
        {**resource, "label": labels.get(resource.get("address", ""), resource.get("type", ""))}
        for resource in (workspace.resources if workspace else [])
    ]


def drift_found(environment: Environment) -> Change | None:
    """The check that found something changed outside Slipway, unless a change has been made since."""
    rows = Change.objects.filter(workspace_id=environment.pk, status=Change.Status.APPLIED).defer("values")
    newest = rows.order_by("-finished_at").first()
    if newest is None or newest.kind != Change.Kind.REFRESH or not (newest.plan or {}).get("drift"):
        return None
    return newest


def plan_shown(change: Change, version: ModuleVersion) -> dict[str, Any]:
    """A change's plan as `components/plan.html` takes it: labelled, counted, without what stays as it is.

    A check has no plan of its own; what it found changed outside Slipway stands there instead.
    """
    labels = version.interface.get("resource_labels") or {}
    # What is lost is called as the version called it that made it.
    labels = {loss["address"]: loss["label"] for loss in losses_in(change.plan)} | labels
    part = "drift" if change.kind == Change.Kind.REFRESH else "resources"
    resources = [
        {
            **resource,
            "label": labels.get(resource["address"], resource.get("type", "")),
            "note": f"id {resource['importing']}" if resource.get("importing") else "",
        }
        for resource in (change.plan or {}).get(part, [])
        if resource["action"] not in ("no-op", "read")
    ]
    counts: dict[str, int] = {}
    for resource in resources:
        counts[resource["action"]] = counts.get(resource["action"], 0) + 1
    return {"resources": resources, "counts": counts}


VERSIONS_OFFERED = 50


def versions_offered(environment: Environment) -> list[ModuleVersion]:
    """Published versions of its module, newest first: what it can be moved to."""
    rows = ModuleVersion.objects.filter(module=environment.module_id, status=ModuleVersion.Status.PUBLISHED)
    return list(rows.light().order_by("-created_at", "-id")[:VERSIONS_OFFERED])


def versions_between(old: ModuleVersion, new: ModuleVersion) -> list[ModuleVersion]:
    """The published versions after `old` up to `new`, newest first; only `new` on the way back."""
    if new.created_at < old.created_at:
        return []
    rows = ModuleVersion.objects.filter(module=new.module_id, created_at__gt=old.created_at)
    rows = rows.filter(created_at__lte=new.created_at).exclude(status=ModuleVersion.Status.DRAFT)
    return list(rows.defer("archive", "interface", "readme").order_by("-created_at")[:VERSIONS_OFFERED])


def difference_sentences(old: ModuleVersion, new: ModuleVersion) -> list[str]:
    """What is different between the interfaces of two versions, in words; what breaks something first."""
    return [sentence for sentence, _ in interface_difference(old.parsed(), new.parsed()).sentences]
