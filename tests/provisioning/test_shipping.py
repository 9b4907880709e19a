import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.utils import timezone

from apps.core.crypto import decrypt
from apps.core.models import LiveEvent
from apps.provisioning.agent.shipping import (
    Redactor,
    build_log_ship,
    file_read_lines,
    state_restore,
    state_ship,
)
from apps.provisioning.exceptions import LeaseLost
from apps.provisioning.leases import Lease, lease_acquire
from apps.provisioning.models import Change, LogLine, StateVersion, Workspace


def parse(raw: str) -> SimpleNamespace:
    return SimpleNamespace(at=timezone.now(), level="info", message=raw)


def ship(lease: Lease, change: Change, path: Path, redact: Redactor | None = None) -> list[object]:
    return build_log_ship(lease=lease, change=change, path=path, redact=redact or Redactor([]), parse=parse)


def test_a_line_that_is_still_being_written_waits(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("one\ntw")
    assert file_read_lines(path, 0) == (["one"], 4)
    assert file_read_lines(path, 4) == ([], 4)


def test_each_line_is_shipped_once_and_numbered_without_gaps(lease: Lease, change: Change, tmp_path: Path) -> None:
    path = tmp_path / "plan" / "log.jsonl"
    path.parent.mkdir()
    path.write_text("one\ntwo\n")
    ship(lease, change, path)
    ship(lease, change, path)
    with path.open("a") as file:
        file.write("three\n")
    ship(lease, change, path)
    assert list(LogLine.objects.values_list("number", "text")) == [(1, "one"), (2, "two"), (3, "three")]
    told = [line["n"] for event in LiveEvent.objects.filter(kind="log") for line in event.data["lines"]]
    assert told == [1, 2, 3]


def test_secrets_never_reach_a_log_line(lease: Lease, change: Change, tmp_path: Path) -> None:
    path = tmp_path / "plan" / "log.jsonl"
    path.parent.mkdir()
    path.write_text("token canary-7f3a in the open\n")
    ship(lease, change, path, Redactor([{"mlflow_tracking_token": "canary-7f3a"}]))
    assert LogLine.objects.get().text == "token •••••• in the open"


def test_an_agent_without_the_lease_ships_nothing(lease: Lease, change: Change, tmp_path: Path) -> None:
    path = tmp_path / "plan" / "log.jsonl"
    path.parent.mkdir()
    path.write_text("one\n")
    lease_acquire(machine_name="box", holder=lease.holder)
    with pytest.raises(LeaseLost):
        ship(lease, change, path)
    assert not LogLine.objects.exists()


def test_states_are_kept_encrypted_once_each_and_come_back(lease: Lease, workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfstate"
    path.write_text(json.dumps({"lineage": "l", "serial": 3, "secret": "canary-7f3a"}))
    assert state_ship(lease=lease, workspace=workspace, change=None, path=path)
    assert not state_ship(lease=lease, workspace=workspace, change=None, path=path)
    stored = StateVersion.objects.get()
    assert b"canary" not in bytes(stored.cipher)
    assert decrypt(bytes(stored.cipher)) == path.read_bytes()
    before = path.read_bytes()
    path.unlink()
    state_restore(workspace=workspace, path=path)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o077 == 0


def test_a_torn_state_file_is_left_for_the_next_look(lease: Lease, workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "terraform.tfstate"
    path.write_text('{"lineage": "l", "ser')
    assert not state_ship(lease=lease, workspace=workspace, change=None, path=path)


def test_a_link_planted_by_a_module_is_not_followed(lease: Lease, workspace: Workspace, tmp_path: Path) -> None:
    other = tmp_path / "other.tfstate"
    other.write_text(json.dumps({"lineage": "l", "serial": 3, "secret": "another environment's"}))
    work = tmp_path / "work"
    work.mkdir()
    (work / "terraform.tfstate").symlink_to(other)
    assert not state_ship(lease=lease, workspace=workspace, change=None, path=work / "terraform.tfstate")
    assert not StateVersion.objects.exists()


@pytest.mark.parametrize("torn", ['{"lineage": "l", "ser', "", "[]"])
def test_a_torn_state_is_replaced_before_terraform_reads_it(
    lease: Lease, workspace: Workspace, tmp_path: Path, torn: str
) -> None:
    path = tmp_path / "terraform.tfstate"
    path.write_text(torn)
    state_restore(workspace=workspace, path=path)
    assert not path.exists()
    path.write_text(json.dumps({"lineage": "l", "serial": 3}))
    whole = path.read_bytes()
    assert state_ship(lease=lease, workspace=workspace, change=None, path=path)
    path.write_text(torn)
    state_restore(workspace=workspace, path=path)
    assert path.read_bytes() == whole
    assert path.with_suffix(".torn").read_text() == torn
