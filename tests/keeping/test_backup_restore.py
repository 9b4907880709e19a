"""A whole portal is backed up while it runs, ended, and made again in another folder and on another port."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ROOT, port_free, portal_stop
from tests.faults.portal_under_fault import Environment, PortalUnderFault

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

MODULE = Path(__file__).parent / "modules" / "kept"
CANARY = "canary-of-the-keeping-tests-41c7"


@dataclass
class Kept:
    """A portal with one environment that runs and one that rests, both with a file of their owner's in them."""

    portal: PortalUnderFault
    runs: Environment
    rests: Environment

    def manage(self, *arguments: str, data: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        return manage(*arguments, data=data or self.portal.data, **environ)


def manage(*arguments: str, data: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    names = ("SLIPWAY_KEYS", "SECRET_KEY", "DATABASE_URL", "BROKER_URL", "DJANGO_SETTINGS_MODULE")
    plain = {name: value for name, value in os.environ.items() if name not in names}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=plain | {"SLIPWAY_DATA": str(data)} | environ,
        capture_output=True,
        text=True,
    )


def launch(portal: PortalUnderFault, name: str) -> Environment:
    body = {"name": name, "team": "vision", "module": "kept", "inputs": {"canary": CANARY}}
    status, answer = portal.call("POST", "environments/", body)
    assert status == 201, answer
    return Environment(answer["id"], name, "dana", ["create"])


def volume(data: Path, environment: Environment) -> Path:
    return data / "agent" / "volumes" / environment.id / "home"


def mlflow(portal: PortalUnderFault, path: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{portal.portal.url}mlflow/api/2.0/mlflow/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"Bearer {portal.portal.token('dana')}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.load(answer))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="slipway-keeping-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def kept(folder: Path) -> Iterator[Kept]:
    (folder / "a").mkdir(mode=0o700)
    portal = PortalUnderFault(folder / "a", port_free())
    try:
        portal.register(MODULE)
        environments = [launch(portal, name) for name in ("Runs on", "Rests here")]
        for environment in environments:
            portal.settled(environment, "running")
            home = volume(portal.data, environment)
            (home / "kept.txt").write_text(f"of {environment.name}")
            (home / "link").symlink_to("/etc/hostname")
            (home / "deep" / "er").mkdir(parents=True)
            (home / "deep" / os.fsdecode(b"odd-\xff-name")).write_text("odd")
        portal.act(environments[1], "stop")
        portal.settled(environments[1], "stopped")
        yield Kept(portal, *environments)
    finally:
        portal.close()


@pytest.mark.matrix
def test_keys_change_under_a_running_portal_and_environments_of_before_go_on(kept: Kept) -> None:
    """No process is restarted: web, worker and agent take up the new key and lose the old."""
    keys = kept.portal.data / "keys" / "encryption"
    before = keys.read_text()
    done = kept.manage("rotate_keys", "--drop-old")
    assert done.returncode == 0, done.stderr
    assert len(keys.read_text().split()) == 1
    assert keys.read_text() != before
    for action, status in (("stop", "stopped"), ("start", "running")):
        assert kept.portal.act(kept.runs, action)[0] == 200
        kept.portal.settled(kept.runs, status)
    made_before = launch(kept.portal, "Goes away")
    kept.portal.settled(made_before, "running")
    assert kept.manage("rotate_keys", "--drop-old").returncode == 0
    kept.portal.act(made_before, "destroy")
    kept.portal.settled(made_before, "destroyed")
    assert kept.portal.portal.get("readyz")[1]["checks"]["keys"]["state"] == "up"


def test_a_backup_is_restored_into_another_folder_and_manages_the_same(kept: Kept, folder: Path) -> None:
    a, archive, sealed = kept.portal, folder / "backup.tar", folder / "passphrase"
    experiment = mlflow(a, "experiments/create", {"name": "vision/kept"})["experiment_id"]
    run = mlflow(a, "runs/create", {"experiment_id": experiment, "run_name": "kept"})["run"]["info"]
    artifact = a.data / "mlflow" / "artifacts" / "kept.bin"
    artifact.parent.mkdir(exist_ok=True)
    artifact.write_bytes(b"artifact")
    audited = a.rows("SELECT count(*) AS n FROM audit_auditevent")[0]["n"]

    sealed.write_text("correct horse battery staple\n")
    made = kept.manage("backup", str(archive), "--passphrase-file", str(sealed))
    assert made.returncode == 0, made.stderr
    assert archive.stat().st_mode & 0o777 == 0o600
    assert CANARY.encode() not in archive.read_bytes()
    assert [path.name for path in folder.glob(".backup*")] == []
    portal_stop(a.portal)

    data = folder / "somewhere else" / "b"
    refused = kept.manage("restore", str(archive), data=data)
    assert refused.returncode == 1
    assert "--passphrase-file" in refused.stderr
    options = ("--passphrase-file", str(sealed))
    restored = kept.manage("restore", str(archive), *options, data=data, SLIPWAY_MACHINE="another-machine")
    assert restored.returncode == 0, restored.stderr
    again = kept.manage("restore", str(archive), *options, data=data)
    assert again.returncode == 1
    assert "not empty" in again.stderr

    os.environ["SLIPWAY_MACHINE"] = "another-machine"
    try:
        b = PortalUnderFault(data, port_free())
    finally:
        del os.environ["SLIPWAY_MACHINE"]
    try:
        managed_as_before(b, kept)
        found = mlflow(b, "runs/search", {"experiment_ids": [experiment]})["runs"]
        assert [one["info"]["run_id"] for one in found] == [run["run_id"]]
        assert (data / "mlflow" / "artifacts" / "kept.bin").read_bytes() == b"artifact"
        assert b.rows("SELECT count(*) AS n FROM audit_auditevent")[0]["n"] >= audited
    finally:
        b.close()


def managed_as_before(b: PortalUnderFault, kept: Kept) -> None:
    """What ran is shown as stopped with the reason; everything starts with its files, stops, and is destroyed."""
    b.settled(kept.runs, "stopped")
    assert "restored" in b.read(kept.runs)["status_reason"]
    b.settled(kept.rests, "stopped")
    for environment in (kept.runs, kept.rests):
        home = volume(b.data, environment)
        assert (home / "kept.txt").read_text() == f"of {environment.name}"
        assert os.readlink(home / "link") == "/etc/hostname"
        assert (home / "deep" / os.fsdecode(b"odd-\xff-name")).read_text() == "odd"
        assert b.act(environment, "start")[0] == 200
        b.settled(environment, "running")
        assert (home / "kept.txt").read_text() == f"of {environment.name}"
    shown = json.dumps(b.read(kept.runs)["outputs"])
    assert str(kept.portal.data) not in shown
    b.act(kept.runs, "stop")
    b.settled(kept.runs, "stopped")
    for environment in (kept.runs, kept.rests):
        b.act(environment, "destroy")
        b.settled(environment, "destroyed")
        assert not volume(b.data, environment).exists()
