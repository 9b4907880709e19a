"""What the doctor asks of provisioning: engine, isolation and limits here, agents, changes, and what is left over."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.db.models.functions import Now

from apps.core.doctor import Finding, Patient, Severity, register_probe
from apps.provisioning.agent.daemon import machine_name
from apps.provisioning.engine import engines_found
from apps.provisioning.machine.files import directory_private, names_in
from apps.provisioning.machine.isolation import isolation_detect
from apps.provisioning.machine.layout import WORKSPACE
from apps.provisioning.machine.limits import Limits
from apps.provisioning.machine.owners import Owners
from apps.provisioning.machine.processes import processes_all, processes_kill
from apps.provisioning.machine.shim import MARKER
from apps.provisioning.machine.trees import tree_remove
from apps.provisioning.models import Change, Machine, Workspace

STUCK = timedelta(minutes=10)
KINDS = ("services", "volumes", "logs", "workspaces")


def engine_probe(patient: Patient) -> Iterator[Finding]:
    engines, skipped = engines_found(os.environ)
    if not engines:
        why = "; ".join(f"{item.path}: {item.reason}" for item in skipped) if skipped else "none was found"
        yield Finding(
            "engine:missing",
            f"There is no Terraform or OpenTofu that can be used ({why}).",
            "Install terraform 1.9 or newer or tofu, or name it in TERRAFORM_BINARY.",
        )


def isolation_probe(patient: Patient) -> Iterator[Finding]:
    root = patient.data / "agent"
    if not root.is_dir():
        return
    try:
        found = isolation_detect(bwrap=None, uid=Owners(root).first, scratch=directory_private(root / "cache"))
    except (RuntimeError, OSError) as error:
        yield Finding("isolation:none", f"Notebooks cannot be kept apart here: {error}", "Install bubblewrap.")
        return
    for warning in found.warnings:
        yield Finding(
            "isolation:weak",
            f"Isolation is {found.mode}, because: {warning}",
            "Allow user namespaces (`sysctl kernel.unprivileged_userns_clone=1`) or run the agent as root.",
            Severity.WARNING,
        )


def limits_probe(patient: Patient) -> Iterator[Finding]:
    root = patient.data / "agent"
    if not root.is_dir():
        return
    limits = Limits.detect(root / "doctor")
    if limits.groups is None:
        yield Finding(
            "limits:watch",
            f"No control groups can be written: memory is held by a watch, processors not at all. {limits.warning}",
            "Run the agent as a systemd unit with Delegate=yes (deploy/systemd/slipway-agent.service).",
            Severity.WARNING,
        )
    else:
        limits.groups.remove()


def agent_probe(patient: Patient) -> Iterator[Finding]:
    machines = list(Machine.objects.order_by("name"))
    if not machines:
        yield Finding("agent:never", "No agent has ever reported.", "`systemctl start slipway-agent`, or `make up`.")
    for machine in Machine.objects.filter(expires_at__lt=Now()) | Machine.objects.filter(expires_at=None):
        if patient.supervisor is None and not patient.own:
            continue
        last = f"since {machine.seen_at:%Y-%m-%d %H:%M:%S} UTC" if machine.seen_at else "yet"
        yield Finding(
            "agent:silent",
            f"The agent of {machine.name} has not been heard of {last}; its environments cannot be changed.",
            f"On {machine.name}: `systemctl restart slipway-agent`, or `make up`.",
        )


def changes_probe(patient: Patient) -> Iterator[Finding]:
    active = Change.objects.active().exclude(status=Change.Status.AWAITING_APPROVAL).select_related("workspace")
    for change in active.filter(created_at__lt=Now() - STUCK, status=Change.Status.QUEUED):
        where = f"waits for the agent of {change.machine}" if change.machine else "has no machine"
        yield Finding(
            "changes:stuck",
            f"“{change}” is in line for over {STUCK.seconds // 60} minutes: it {where}.",
            f"Start that agent, or cancel the change: POST /api/v1/changes/{change.pk}/cancel/.",
        )
    for change in active.filter(machine__expires_at__lt=Now()).exclude(status=Change.Status.QUEUED):
        yield Finding(
            "changes:stuck",
            f"“{change}” was begun by the agent of {change.machine}, which is silent.",
            f"On {change.machine}: `systemctl restart slipway-agent`; it goes on where it was.",
        )


def leftovers_probe(patient: Patient) -> Iterator[Finding]:
    """Folders and processes on this machine of environments that are destroyed, or that nobody knows."""
    root = patient.data / "agent"
    present = {name for kind in KINDS for name in names_in(root / kind) if WORKSPACE.match(name)}
    running = _service_processes(root)
    ids = {name for name in present | set(running) if _is_uuid(name)}
    known = dict(Workspace.objects.filter(pk__in=ids).values_list("pk", "destroyed_at"))
    for name in sorted(ids):
        pk = UUID(name)
        if pk in known and known[pk] is None:
            continue
        if name in running:
            pids = " ".join(str(pid) for pid, _ in running[name])
            yield Finding(
                "leftovers:processes",
                f"Processes of the {'destroyed' if pk in known else 'unknown'} environment {name} run: {pids}.",
                f"`kill -9 {pids}`",
                fix=_ender(name, running[name]),
            )
        if name in present and pk in known:
            yield Finding(
                "leftovers:folders",
                f"Folders of the destroyed environment {name} are still there.",
                "`manage.py doctor --fix` removes them; so does the next start of the agent.",
                Severity.WARNING,
                fix=_folders_remover(root, name),
            )
        elif name in present:
            paths = " ".join(str(root / kind / name) for kind in KINDS if (root / kind / name).exists())
            yield Finding(
                "leftovers:unknown",
                f"{paths} belongs to no environment of this database.",
                "Look into it; if nobody misses it, remove it by hand.",
                Severity.WARNING,
            )


def _is_uuid(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def _service_processes(root: Path) -> dict[str, list[tuple[int, int]]]:
    """Workspace id to (pid, start time) of what runs as a service of this machine, told by the mark it was given."""
    found: dict[str, list[tuple[int, int]]] = {}
    mark, folder = f"{MARKER}=".encode(), os.fsencode(str(root))
    for process in processes_all():
        try:
            environment = Path(f"/proc/{process.pid}/environ").read_bytes()
        except OSError:
            continue
        # Other portals of this machine have services as well: ours name our folder.
        names = [entry for entry in environment.split(b"\0") if entry.startswith(mark)]
        if names and (folder in environment or folder in _command(process.pid)):
            workspace = names[0].partition(b"=")[2].decode("utf-8", "replace").partition("/")[0]
            found.setdefault(workspace, []).append((process.pid, process.started))
    return found


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _ender(name: str, processes: list[tuple[int, int]]) -> Callable[[], str]:
    return lambda: f"{len(processes_kill(processes))} processes of {name} were ended"


def _folders_remover(root: Path, name: str) -> Callable[[], str]:
    def remove() -> str:
        for kind in KINDS:
            tree_remove(root / kind / name)
        return f"The folders of {name} were removed"

    return remove


def mirror_probe(patient: Patient) -> Iterator[Finding]:
    """The provider's launcher names the interpreter: it is wrong after the portal has moved."""
    plugins = patient.data / "agent" / "plugins"
    if not plugins.is_dir():
        return
    launchers = list(plugins.glob("slipway.local/*/*/*/*/terraform-provider-*"))
    broken = [path for path in launchers if not os.access(path, os.X_OK) or not _starts(path)]
    if broken or not launchers:
        yield Finding(
            "mirror:broken",
            f"The local provider cannot be started from {broken[0] if broken else plugins}.",
            "Restart the agent, which writes it anew: `systemctl restart slipway-agent`, or `make up`.",
        )


def _starts(launcher: Path) -> bool:
    """Whether the interpreter and the program that it names are there."""
    words = launcher.read_text(errors="replace").replace("'", "").split()
    named = [Path(word) for word in words if word.startswith("/") and not word.startswith("/bin/")]
    return len(named) >= 2 and all(path.exists() for path in named)


register_probe("engine", engine_probe)
register_probe("isolation", isolation_probe)
register_probe("limits", limits_probe)
register_probe("plugin mirror", mirror_probe)
register_probe(f"agent ({machine_name()} here)", agent_probe, needs=("portal", "database"))
register_probe("changes", changes_probe, needs=("database",))
register_probe("leftovers", leftovers_probe, needs=("database",))
