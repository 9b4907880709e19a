"""Where the agent keeps what, under its root. Everything is 0700; the state of a workspace never leaves its folder."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from apps.provisioning.imports import IMPORTS_FILE


@dataclass(frozen=True)
class WorkspaceFolder:
    root: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def state(self) -> Path:
        return self.work / "terraform.tfstate"

    @property
    def values(self) -> Path:
        return self.work / "terraform.tfvars.json"

    @property
    def module_mark(self) -> Path:
        return self.root / "module-digest"

    @property
    def context(self) -> Path:
        return self.root / "context.json"

    def stage(self, change_id: UUID, phase: str, attempt: int) -> Path:
        return self.root / "changes" / str(change_id) / (phase if attempt == 1 else f"{phase}-{attempt}")

    def forget_change(self, change_id: UUID) -> None:
        """Plans and values hold secrets: they go when the change ends; so does what it was to take over."""
        shutil.rmtree(self.root / "changes" / str(change_id), ignore_errors=True)
        self.values.unlink(missing_ok=True)
        (self.work / IMPORTS_FILE).unlink(missing_ok=True)


def workspace_folder(agent_root: Path, workspace_id: UUID) -> WorkspaceFolder:
    folder = WorkspaceFolder(agent_root / "workspaces" / str(workspace_id))
    folder.work.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
