"""The machine: one object that holds the parts together and speaks the socket API."""

import contextlib
import fcntl
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

from . import api
from .bodies import runtime_spec, service_spec, volume_spec
from .cgroups import Group
from .disk import DiskWatch
from .errors import Conflict, MachineError
from .files import names_in
from .gpus import Gpus
from .isolation import Isolation, isolation_detect
from .layout import WORKSPACE, Layout
from .limits import Limits
from .locking import Locker
from .logs import log_read
from .observing import ServiceObservation
from .owners import Owners
from .processes import is_below
from .records import ServiceRecord
from .runtimes import Runtimes
from .sandboxes import Sandboxes
from .services import Services
from .settling import services_settle
from .supervisor import Supervisor
from .tokens import secret_load, token_make, token_workspace
from .trees import tree_remove
from .volumes import Volumes

VERSION = "1"
_KEEPER_S = 2.0
logger = logging.getLogger(__name__)


class Machine:
    """Volumes, runtimes and services of one machine below `root`, offered on `socket_path`.

    `isolation` and `limits` force a way of isolating or limiting instead of the best that works. Call `start` once;
    `close` leaves services running for the next agent, `stop_services` ends them.
    """

    def __init__(
        self,
        root: Path,
        *,
        socket_path: Path,
        uv: str | None = None,
        bwrap: str | None = None,
        isolation: str | None = None,
        limits: str | None = None,
        allow_file_repositories: bool = False,
        disk_reserve_bytes: int | None = None,
        gpus: Gpus | None = None,
    ) -> None:
        self.layout = Layout(root.absolute())
        self.socket_path = socket_path.absolute()
        self.supervisor = Supervisor(self.layout)
        self._options = {"bwrap": bwrap, "isolation": isolation, "limits": limits}
        self._allow_file_repositories = allow_file_repositories
        self._disk_reserve_bytes = disk_reserve_bytes
        self.runtimes = Runtimes(self.layout, uv=uv)
        self.gpus = gpus or Gpus()
        self._lock: TextIO | None = None
        self._server: api.ApiServer | None = None
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None
        self._supervising = threading.Lock()

    def start(self) -> list[str]:
        """Adopt or resume what was running, then serve. Returns "workspace/service" of those that could not start.

        Raises Conflict where another agent works on the same root.
        """
        self.layout.create()
        self._lock_take()
        try:
            self._secret = secret_load(self.layout.root / "secret")
            owners = Owners(self.layout.root)
            self._isolation = isolation_detect(
                bwrap=self._options["bwrap"],
                uid=owners.first,
                wanted=self._options["isolation"],
                scratch=self.layout.root,
            )
            self._limits = Limits.detect(self.layout.root, wanted=self._options["limits"])
            sandboxes = Sandboxes(self.layout, owners, self._isolation)
            self.owners = owners
            self.volumes = Volumes(self.layout, sandboxes, allow_file_repositories=self._allow_file_repositories)
            self.services = Services(
                self.layout,
                supervisor=self.supervisor,
                sandboxes=sandboxes,
                limits=self._limits,
                volumes=self.volumes,
                runtimes=self.runtimes,
                gpus=self.gpus,
            )
            self.disk = DiskWatch(
                self.layout.root,
                records=self.services.records,
                places=self._places,
                limit=lambda record: self.volumes.limit_bytes(record.workspace_id, record.spec.volume),
                stop=self.services.stop_full,
                reserve_bytes=self._disk_reserve_bytes,
            )
            self.locker = Locker(self.runtimes, sandboxes)
            self.locker.rests_remove()
            self.volumes.disk_short = self.disk.short
            self.volumes.rests_remove()
            self.runtimes.rests_remove()
            failed = self.resume_services()
            self._server = api.ApiServer(self.socket_path, self._dispatch, turned_away=self._is_service)
            self._server.start()
        except BaseException:
            self._lock_release()
            raise
        self._keeper = threading.Thread(target=self._keep, name="machine-keeper", daemon=True)
        self._keeper.start()
        self.disk.start()
        return failed

    @property
    def isolation(self) -> str:
        return self._isolation.mode

    @property
    def limits(self) -> str:
        return self._limits.kind

    def stage_group(self, name: str) -> Group | None:
        """The control group of that name, where this machine can hold processes by one."""
        return self._limits.groups.group(name) if self._limits.groups else None

    @property
    def warnings(self) -> list[str]:
        """What a platform engineer should know of isolation and limits here."""
        return [*self._isolation.warnings, *([self._limits.warning] if self._limits.warning else [])]

    def close(self) -> None:
        """Stop serving; services and their supervisor go on."""
        self._closing.set()
        if self._keeper:
            self._keeper.join(timeout=30)
            self.disk.close()
        if self._server:
            self._server.close()
            self._server = None
        self._groups_remove()
        self._lock_release()

    def stop_services(self, reason: str) -> None:
        """End every service and the supervisor. `resume_services` or the next `start` starts them again."""
        with self._supervising:
            self.services.suspend_all(reason)
        self._groups_remove()

    def resume_services(self) -> list[str]:
        """Start again what was wanted running; returns "workspace/service" of those that could not start."""
        with self._supervising:
            if not self.supervisor.answers():
                self.supervisor.kill()
                killed = self.services.leftovers_end()
                if killed:
                    logger.warning("ended %d processes of services that an earlier supervisor left", len(killed))
            return self.services.resume()

    def gpu_rows(self) -> list[dict[str, Any]]:
        """The machine's GPUs and who has them: {index, name, memory_mb, workspace}."""
        return self.gpus.rows(self.services.gpu_holders()) if self.gpus.found() else []

    def settle_services(self, workspace_id: str, known: Mapping[str, bool]) -> list[str]:
        """After a change that was cut off: end what its state does not know to run (`known`: name to running)."""
        return services_settle(self.services, workspace_id, known)

    def environment_token(self, workspace_id: str) -> str:
        return token_make(self._secret, workspace_id)

    def observe(self) -> list[ServiceObservation]:
        """What every service is doing, and what its volume held when it was last measured."""
        return [
            replace(seen, disk_bytes=self.disk.used_bytes(seen.workspace_id, seen.service))
            for seen in self.services.observe()
        ]

    def _is_service(self, pid: int) -> bool:
        """Whether a process belongs to a service: all of them are below the supervisor, and stay there."""
        return is_below(pid, self.supervisor.pid())

    def _places(self, record: ServiceRecord) -> tuple[Path, Path]:
        """Where a service can write: its volume, and its /tmp."""
        volume = self.layout.volume(record.workspace_id, record.spec.volume.partition("/")[2])
        return volume, self.layout.service(record.workspace_id, record.name) / "tmp"

    def log_tail(self, workspace_id: str, service: str, offset: str = "") -> tuple[str, str]:
        """New whole log lines after `offset` (opaque, "" for the beginning), and the offset to ask with next time."""
        return log_read(self.layout.log(workspace_id, service), offset)

    def context_sync(self, workspace_id: str) -> None:
        """Call after writing workspaces/<id>/context.json: running services see the new one."""
        self.services.context_sync(workspace_id)

    def purge_workspace(self, workspace_id: str) -> None:
        """Remove everything of an environment: services, volumes, logs, references, Terraform's directory."""
        if not WORKSPACE.match(workspace_id):
            raise ValueError(f"not a workspace id: {workspace_id!r}")
        for name in names_in(self.layout.services(workspace_id)):
            self.services.delete(workspace_id, name)
        self.runtimes.workspace_forget(workspace_id)
        for kind in ("services", "volumes", "logs", "workspaces"):
            tree_remove(self.layout.root / kind / workspace_id)
        self.owners.forget(workspace_id)

    def leftovers(self, known_ids: Iterable[str]) -> list[str]:
        """Workspace ids that have something on this machine and are not among `known_ids`."""
        kinds = ("services", "volumes", "logs", "workspaces")
        present = {name for kind in kinds for name in names_in(self.layout.root / kind)}
        return sorted(name for name in present - set(known_ids) if WORKSPACE.match(name))

    def _groups_remove(self) -> None:
        """Once closed and stopped, leave no empty control group behind."""
        if self._closing.is_set() and self._limits.groups and self.services.stopping.is_set():
            self._limits.groups.remove()

    def _keep(self) -> None:
        """Bring the supervisor back when it was killed under a running agent."""
        while not self._closing.wait(_KEEPER_S):
            try:
                if self.services.stopping.is_set() or self.supervisor.pid() is not None:
                    continue
                if any(record.wanted for record in self.services.records()):
                    self._supervisor_replace()
            except Exception:
                logger.exception("the supervisor of services could not be brought back; trying again")

    def _supervisor_replace(self) -> None:
        with self._supervising:
            with self.supervisor.exclusive:
                if self.supervisor.pid() is not None or self.services.stopping.is_set():
                    return
                logger.warning("the supervisor of services is gone: ending what it left and starting it again")
                self.supervisor.kill()
                self.services.leftovers_end()
            self.services.resume()

    def _dispatch(
        self, method: str, parts: list[str], body: Any, authorization: str | None
    ) -> tuple[int, dict[str, Any] | None]:
        workspace_id = token_workspace(self._secret, authorization)
        if parts == ["v1", "health"] and method == "GET":
            return 200, {"version": VERSION, "isolation": self.isolation, "limits": self.limits}
        if len(parts) not in (2, 3) or parts[0] != "v1":
            raise api.no_route()
        kind, name = parts[1], parts[2] if len(parts) == 3 else None
        if kind == "runtimes":
            return self._runtimes(method, workspace_id, name, body)
        if name is None or kind not in ("volumes", "services"):
            raise api.no_route()
        handler: Any = self._volumes if kind == "volumes" else self._services
        return handler(method, workspace_id, name, body)  # type: ignore[no-any-return]

    def _volumes(self, method: str, workspace_id: str, name: str, body: Any) -> tuple[int, dict[str, Any] | None]:
        if method == "PUT":
            volume, created = self.volumes.put(workspace_id, name, volume_spec({} if body is None else body))
            return 201 if created else 200, volume
        if method == "GET":
            return 200, self.volumes.get(workspace_id, name)
        if method == "DELETE":
            users = self.services.using_volume(workspace_id, name)
            if users:
                raise Conflict(f"The volume is in use by {', '.join(users)}.", code="machine:volume-in-use")
            self.volumes.delete(workspace_id, name)
            return 204, None
        raise _method_refused(method)

    def _services(self, method: str, workspace_id: str, name: str, body: Any) -> tuple[int, dict[str, Any] | None]:
        if method == "PUT":
            service, created = self.services.put(workspace_id, name, service_spec(body))
            return 201 if created else 200, service
        if method == "GET":
            return 200, self.services.get(workspace_id, name)
        if method == "DELETE":
            self.services.delete(workspace_id, name)
            return 204, None
        raise _method_refused(method)

    def _runtimes(
        self, method: str, workspace_id: str, name: str | None, body: Any
    ) -> tuple[int, dict[str, Any] | None]:
        if method == "PUT" and name is None:
            runtime = self.runtimes.put(workspace_id, runtime_spec(body))
            return 200 if runtime["reused"] else 201, runtime
        if method == "GET" and name:
            return 200, self.runtimes.get(workspace_id, name)
        if method == "DELETE" and name:
            self.runtimes.delete(workspace_id, name)
            return 204, None
        raise _method_refused(method)

    def _lock_take(self) -> None:
        self._lock = (self.layout.root / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            self._lock = None
            raise Conflict("Another agent already works on this machine's data.", code="machine:locked") from error

    def _lock_release(self) -> None:
        with contextlib.suppress(AttributeError):
            if self._lock:
                self._lock.close()
            self._lock = None


def _method_refused(method: str) -> MachineError:
    return MachineError(f"{method} is not possible here.", status=405, code="machine:method-not-allowed")


__all__ = ["Isolation", "Machine"]
