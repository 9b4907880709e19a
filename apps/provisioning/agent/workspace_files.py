"""What a change leaves in its workspace's folder before Terraform starts, and what is read from there when it ended."""

import json
import shutil
from pathlib import Path
from typing import Any

from apps.catalog.services import module_archive_extract
from apps.core.crypto import encrypt_json
from apps.provisioning.agent.layout import WorkspaceFolder
from apps.provisioning.agent.shipping import state_restore, state_shipped, state_store
from apps.provisioning.bounding import outputs_shortened, resources_shortened
from apps.provisioning.imports import imports_known, imports_write
from apps.provisioning.leases import Lease
from apps.provisioning.models import Change
from apps.provisioning.terraform_state import ERRORED, outputs_to_store, resources_from_state, state_read, state_rescue


def inputs_write(folder: WorkspaceFolder, change: Change, values: dict[str, Any]) -> None:
    """The module's files and the values as they were when the change was asked for, and a state that is missing."""
    version = change.module_version
    mark = folder.module_mark
    if not mark.exists() or mark.read_text() != version.digest:
        kept = {".terraform", ".terraform.lock.hcl", folder.state.name, folder.state.name + ".backup"}
        _clear(folder.work, keep=kept)
        module_archive_extract(version, folder.work)
        mark.write_text(version.digest)
    imports_write(folder.work, imports_known(change.imports))
    state_restore(workspace=change.workspace, path=folder.state)
    private_write(folder.values, json.dumps(values))


def state_fields(
    folder: WorkspaceFolder, change: Change, *, apply_log: Path, lease: Lease, secrets: list[str]
) -> dict[str, Any]:
    """What a workspace's row says of its state now: resources to show, outputs to open the application with.

    Empty where there has never been a state. A state that Terraform could not write is stored from where it left it;
    the next change begins by putting it in its place. A torn file says nothing: what was shipped before it was torn
    still holds.
    """
    workspace = change.workspace
    state = state_rescue(folder.work, [apply_log])
    if state is not None:
        state_store(lease=lease, workspace=workspace, change=change, state=state)
    state = state or state_read(folder.work) or state_shipped(workspace)
    if state is None:
        return {}
    return {
        "resources": resources_shortened(resources_from_state(state.data, secrets=secrets)),
        "outputs": encrypt_json(outputs_shortened(outputs_to_store(state.data, secrets=secrets))),
    }


def work_clear(folder: WorkspaceFolder) -> None:
    """After a module has filled its work folder: all but the state goes, and the next plan begins anew."""
    folder.module_mark.unlink(missing_ok=True)
    (folder.root / "init.json").unlink(missing_ok=True)
    _clear(folder.work, keep={folder.state.name, folder.state.name + ".backup", ERRORED})


def private_write(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def _clear(folder: Path, *, keep: set[str]) -> None:
    for path in folder.iterdir():
        if path.name in keep:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
