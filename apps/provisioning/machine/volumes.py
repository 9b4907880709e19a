"""Volumes: directories of an environment that outlive a stop."""

import contextlib
import os
import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from .errors import InvalidRequest, MachineError, NotFound
from .files import directory_private, json_read, json_write, names_in
from .layout import Layout, name_checked
from .repositories import repository_checked, repository_clone, repository_folder, revision_checked
from .sandboxes import Sandboxes
from .trees import tree_owner_set, tree_remove, tree_rests_remove, tree_used_bytes


@dataclass(frozen=True)
class VolumeSpec:
    size_limit_mb: int | None = None
    repository: str | None = None
    revision: str | None = None
    files: dict[str, str] = field(default_factory=dict)


class Volumes:
    """All volumes of the machine. A volume `<name>` is the directory, `<name>.json` beside it what is known of it."""

    def __init__(self, layout: Layout, sandboxes: Sandboxes, *, allow_file_repositories: bool) -> None:
        self.layout = layout
        self.sandboxes = sandboxes
        self.allow_file_repositories = allow_file_repositories
        self.disk_short: Callable[[], bool] = lambda: False  # Whether the disk is down to its reserve.
        self._locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)
        self._parents = threading.Lock()  # Or a delete takes a folder away that another volume is about to begin in.

    def rests_remove(self) -> None:
        """Remove what a crash left half created or half deleted."""
        for workspace_id in names_in(self.layout.root / "volumes"):
            tree_rests_remove(self.layout.volumes(workspace_id))

    def put(self, workspace_id: str, name: str, spec: VolumeSpec) -> tuple[dict[str, Any], bool]:
        """Create the volume, or adopt the one of that name. Returns it and whether it was created.

        Seed files and the repository go only into a new one. It appears in one step when it is complete.
        """
        path = self.path(workspace_id, name)
        if self.disk_short() and not path.is_dir():
            detail = "The machine's disk is full: destroy environments you no longer need, or tell a platform engineer."
            raise MachineError(detail, code="machine:disk-full", status=422)
        if spec.repository:
            repository_checked(spec.repository, allow_file=self.allow_file_repositories)
        if spec.revision:
            revision_checked(spec.revision)
        seeds = {_relative_checked(relative): text for relative, text in spec.files.items()}
        with self._locks[workspace_id, name]:
            if path.is_dir():
                record = json_read(self._record(workspace_id, name)) or {}
                record["size_limit_mb"] = spec.size_limit_mb
                json_write(self._record(workspace_id, name), record)
                return self.get(workspace_id, name), False
            self._create(workspace_id, name, spec, seeds)
            return self.get(workspace_id, name), True

    def _create(self, workspace_id: str, name: str, spec: VolumeSpec, seeds: dict[PurePosixPath, str]) -> None:
        with self._parents:
            parent = directory_private(self.layout.volumes(workspace_id))
            home = Path(tempfile.mkdtemp(dir=parent, prefix=f".creating-{name}-"))
        private = parent / f".creating-clone-{name}"
        record: dict[str, Any] = {"size_limit_mb": spec.size_limit_mb, "repository_commit": None}
        try:
            # Seeds first, into a directory nobody else has seen: no link can be planted in their way.
            for relative, text in seeds.items():
                target = home / relative
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
                target.write_text(text, encoding="utf-8")
            uid = self.sandboxes.uid(workspace_id)
            if uid is not None:
                tree_owner_set(home, uid, uid)
            if spec.repository:
                folder = repository_folder(spec.repository)
                if (home / folder).exists():
                    raise InvalidRequest(f"The repository would be cloned into {folder!r}, which is also a seed file.")
                commit = repository_clone(
                    self.sandboxes,
                    workspace_id,
                    url=spec.repository,
                    revision=spec.revision or "",
                    home=home,
                    private=private,
                    full=lambda: self._full(home, spec.size_limit_mb),
                )
                record["repository_commit"] = commit or None
            json_write(self._record(workspace_id, name), record)
            os.rename(home, self.path(workspace_id, name))
        except BaseException:
            tree_remove(home)
            raise

    def _full(self, home: Path, size_limit_mb: int | None) -> str:
        """Why no more may be written to a volume that is being filled; empty while there is room."""
        if self.disk_short():
            return "the machine's disk is full"
        if size_limit_mb and tree_used_bytes(home) > size_limit_mb << 20:
            return f"it is larger than the {size_limit_mb / 1024:g} GB of this environment"
        return ""

    def get(self, workspace_id: str, name: str) -> dict[str, Any]:
        path = self.path(workspace_id, name)
        if not path.is_dir():
            raise NotFound(f"There is no volume {name!r} in this environment.", code="machine:volume-not-found")
        record = json_read(self._record(workspace_id, name)) or {}
        return {
            "id": f"{workspace_id}/{name}",
            "name": name,
            "path": str(path),
            "used_bytes": tree_used_bytes(path),
            "size_limit_mb": record.get("size_limit_mb"),
            "repository_commit": record.get("repository_commit"),
        }

    def limit_bytes(self, workspace_id: str, volume_id: str) -> int | None:
        """The most bytes a volume may hold, None without a limit."""
        name = volume_id.partition("/")[2]
        limit = (json_read(self._record(workspace_id, name)) or {}).get("size_limit_mb")
        return int(limit) << 20 if limit else None

    def delete(self, workspace_id: str, name: str) -> None:
        """Delete the volume and all files in it; nothing to do when it is gone."""
        path = self.path(workspace_id, name)
        with self._locks[workspace_id, name]:
            tree_remove(path)
            self._record(workspace_id, name).unlink(missing_ok=True)
            with self._parents, contextlib.suppress(OSError):
                self.layout.volumes(workspace_id).rmdir()

    def by_id(self, workspace_id: str, volume_id: str) -> Path:
        """The directory of a volume named by id, which must be one of this environment."""
        owner, _, name = volume_id.partition("/")
        if owner != workspace_id or not self.path(workspace_id, name).is_dir():
            raise InvalidRequest(
                f"There is no volume {volume_id!r} in this environment.", code="machine:volume-not-found"
            )
        return self.path(workspace_id, name)

    def path(self, workspace_id: str, name: str) -> Path:
        return self.layout.volume(workspace_id, name_checked(name, "The volume"))

    def _record(self, workspace_id: str, name: str) -> Path:
        return self.layout.volumes(workspace_id) / f"{name}.json"


def _relative_checked(text: str) -> PurePosixPath:
    path = PurePosixPath(text)
    parts = path.parts
    if not parts or path.is_absolute() or ".." in parts or "\0" in text or len(text) > 500:
        raise InvalidRequest(f"{text!r} is not a path inside the volume.", code="machine:invalid-path")
    return path
