"""Builds the sandbox of one environment: its OS user, the files made for it, and what a runtime needs to be seen."""

import os
from dataclasses import dataclass
from pathlib import Path

from .files import directory_private, json_read, text_write
from .isolation import Isolation, Sandbox, etc_write
from .layout import Layout
from .owners import Owners


@dataclass(frozen=True)
class Sandboxes:
    layout: Layout
    owners: Owners
    isolation: Isolation

    def uid(self, workspace_id: str) -> int | None:
        """The uid the environment's code runs as; None where it runs as the agent's own user."""
        return self.owners.uid(workspace_id) if self.isolation.has_own_uid else None

    def make(
        self,
        workspace_id: str,
        *,
        home: Path,
        private: Path,
        read: tuple[Path, ...] = (),
        context: Path | None = None,
        gitconfig: Path | None = None,
        port: int | None = None,
        memory_bytes: int | None = None,
        devices: tuple[tuple[str, str], ...] = (),
    ) -> Sandbox:
        """`private` is a directory of the agent for this sandbox's own files (etc/, tmp/)."""
        uid = self.uid(workspace_id)
        directory_private(private)
        scratch = directory_private(private / "tmp")
        if uid is not None:
            os.chown(scratch, uid, uid)
        etc = etc_write(private / "etc", os.getuid() if uid is None else uid)
        return Sandbox(home, scratch, etc, uid, read, context, gitconfig, port, memory_bytes, devices)

    def context_copy(self, workspace_id: str, private: Path) -> Path:
        """Bring context.json to where the service sees it; returns the mounted directory."""
        directory = directory_private(private / "context", 0o755)
        context = json_read(self.layout.context(workspace_id))
        text = self.layout.context(workspace_id).read_text(encoding="utf-8") if context is not None else "{}"
        target = directory / "context.json"
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            text_write(target, text, mode=0o644)
        return directory
