"""Each fault is made for real, named by the doctor in plain words, and cured where it says so."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules

from apps.core import health, probes
from apps.core.crypto import encrypt, key_id
from apps.core.doctor import Finding, Patient, Report, examine
from apps.provisioning import probes as machine_probes
from apps.provisioning.machine.shim import MARKER
from apps.provisioning.models import Change, Machine, StateVersion, Workspace
from portal.up.process import ProcessIdentity, record_write

autodiscover_modules("probes")


@pytest.fixture
def data(tmp_path: Path, settings) -> Path:  # type: ignore[no-untyped-def]
    """The folder of a portal, as it should be."""
    folder = tmp_path / "data"
    for name in ("", "run", "keys", "logs", "agent", "agent/run", "agent/volumes", "agent/workspaces"):
        (folder / name).mkdir(mode=0o700)
    settings.DATA_DIR = folder
    return folder


def patient(data: Path, **facts: object) -> Patient:
    known: dict[str, object] = {"supervisor": None, "own": True, "database": True, "broker": True}
    return Patient(data, **(known | facts))  # type: ignore[arg-type]


def codes(findings: Iterator[Finding]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.fixture
def workspace(db: None) -> Workspace:
    from tests.factories import environment_make, people_make

    return environment_make(people_make()).workspace


# Folder and processes


@pytest.mark.parametrize(("name", "mode"), [("keys", 0o755), ("run", 0o777), (".", 0o750)])
def test_a_folder_open_to_others_is_named_and_closed(data: Path, name: str, mode: int) -> None:
    (data / name).chmod(mode)
    [finding] = probes.modes_probe(patient(data))
    assert finding.code == "files:mode"
    assert finding.cure == f"`chmod 700 {(data / name).resolve() if name == '.' else data / name}`"
    assert finding.fix
    finding.fix()
    assert list(probes.modes_probe(patient(data))) == []


def test_a_key_open_to_others_is_closed_by_fix(data: Path) -> None:
    (data / "keys" / "encryption").write_text("secret")
    (data / "keys" / "encryption").chmod(0o644)
    assert codes(probes.modes_probe(patient(data))) == ["files:mode"]
    reports = {report.name: report for report in examine(patient(data, database=False, broker=False), fix=True)}
    assert len(reports["file modes"].fixed) == 1
    assert (data / "keys" / "encryption").stat().st_mode & 0o777 == 0o600


def test_a_link_among_the_keys_is_not_followed(data: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    target.chmod(0o644)
    (data / "keys" / "link").symlink_to(target)
    assert list(probes.modes_probe(patient(data))) == []


def test_a_socket_nobody_listens_on_is_removed_and_one_in_use_is_kept(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    with socket.socket(socket.AF_UNIX) as stale, socket.socket(socket.AF_UNIX) as used:
        stale.bind("run/stale.sock")
        used.bind("run/used.sock")
        used.listen()
        stale.close()
        [finding] = probes.sockets_probe(patient(data))
        assert finding.code == "socket:stale"
        assert "stale.sock" in finding.what
        assert finding.fix
        finding.fix()
        assert [path.name for path in (data / "run").iterdir()] == ["used.sock"]


def test_the_records_of_a_killed_portal_are_told_apart(data: Path) -> None:
    """One process is gone, one was left running."""
    gone = subprocess.Popen(["sleep", "60"])
    left = subprocess.Popen(["sleep", "60"])
    for name, process in (("beat", gone), ("worker", left)):
        identity = ProcessIdentity.of(process.pid)
        assert identity
        record_write(data / "run" / f"{name}.json", identity)
    gone.kill()
    gone.wait()
    try:
        found = list(probes.portal_probe(patient(data, own=False)))
        assert codes(iter(found)) == ["portal:not-running", "process:left-behind", "process:stale-record"]
        assert f"kill {left.pid}" in found[1].cure
        assert found[2].fix
        found[2].fix()
        assert not (data / "run" / "beat.json").exists()
    finally:
        left.kill()
        left.wait()


def test_a_taken_port_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        monkeypatch.setenv("PORT", str(holder.getsockname()[1]))
        assert codes(probes.port_probe(patient(data, own=False))) == ["port:taken"]
    assert codes(probes.port_probe(patient(data, own=False))) == []


def test_a_page_that_does_not_answer_is_named(data: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.PORTAL_URL = "http://127.0.0.1:9"
    assert codes(probes.web_probe(patient(data))) == ["web:down"]


@pytest.mark.parametrize(("free", "code"), [(4, "disk:full"), (8, "disk:low")])
def test_a_disk_that_fills_is_named(data: Path, monkeypatch: pytest.MonkeyPatch, free: int, code: str) -> None:
    monkeypatch.setattr(probes.shutil, "disk_usage", lambda path: type("Disk", (), {"total": 100, "free": free}))
    assert codes(probes.disk_probe(patient(data))) == [code]


# Services


def test_a_database_that_is_down_is_named_and_the_rest_still_speaks(data: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.DATABASE_URL = "postgresql://nobody:hunter22@127.0.0.1:9/none"
    met = probes.patient_meet(data)
    assert not met.database
    reports = {report.name: report for report in examine(patient(data, database=False))}
    [finding] = reports["PostgreSQL"].findings
    assert finding.code == "database:down"
    assert "hunter22" not in finding.what
    assert reports["leftovers"].state == "not asked"


def test_a_missing_migration_is_named(data: Path, db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'sessions'")
    [finding] = probes.database_probe(patient(data))
    assert finding.code == "database:migrations"
    assert "sessions.0001_initial" in finding.what
    assert "migrate" in finding.cure


def test_clocks_that_differ_are_named(data: Path, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.time
    monkeypatch.setattr(probes.time, "time", lambda: real() + 60)
    assert codes(probes.database_probe(patient(data))) == ["database:clock"]


def test_a_queue_that_is_down_is_named(data: Path) -> None:
    assert codes(probes.broker_probe(patient(data, broker=False))) == ["broker:down"]


def test_a_long_queue_is_named(data: Path, monkeypatch: pytest.MonkeyPatch, settings) -> None:  # type: ignore[no-untyped-def]
    settings.CELERY_TASK_DEFAULT_QUEUE = f"doctor-{uuid4().hex}"
    monkeypatch.setattr(probes, "LONG_QUEUE", 1)
    with probes.current_app.connection_for_write() as broker:
        client = broker.default_channel.client
        client.lpush(settings.CELERY_TASK_DEFAULT_QUEUE, "1", "2")
        assert codes(probes.broker_probe(patient(data))) == ["queue:long"]
        client.delete(settings.CELERY_TASK_DEFAULT_QUEUE)


def test_a_silent_worker_is_named_and_a_silent_beat_told_apart(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.delete(health.WORKER_HEARTBEAT)
    assert codes(probes.worker_probe(patient(data))) == ["worker:silent"]
    # A worker that answers while the heartbeat is old.
    monkeypatch.setattr(probes.current_app.control, "ping", lambda timeout: [{"worker@x": {"ok": "pong"}}])
    assert codes(probes.worker_probe(patient(data))) == ["beat:silent"]
    health.heartbeat_write()
    assert codes(probes.worker_probe(patient(data))) == []


def test_an_mlflow_that_is_down_is_named(data: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    assert codes(probes.mlflow_probe(patient(data))) == ["mlflow:down"]


# Keys


def test_a_lost_key_and_a_damaged_value_are_named_apart(data: Path, workspace: Workspace, settings) -> None:  # type: ignore[no-untyped-def]
    assert codes(probes.keys_probe(patient(data))) == []
    damaged = encrypt(b"state")[:-8]
    StateVersion.objects.create(workspace=workspace, lineage="l", serial=1, digest="d", cipher=damaged)
    assert codes(probes.keys_probe(patient(data))) == ["keys:unreadable"]
    old = settings.SLIPWAY_KEYS[0]
    settings.SLIPWAY_KEYS = [Fernet.generate_key().decode()]
    found = list(probes.keys_probe(patient(data)))
    assert codes(iter(found)) == ["keys:lost"]
    assert f"ey {key_id(old)} is missing" in found[0].what


def test_no_key_at_all_is_named(data: Path, settings) -> None:  # type: ignore[no-untyped-def]
    settings.SLIPWAY_KEYS, settings.SLIPWAY_KEYS_FILE = [], ""
    assert codes(probes.keys_probe(patient(data))) == ["keys:missing"]


# The machine


def test_no_engine_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_probes, "engines_found", lambda environ: ([], []))
    assert codes(machine_probes.engine_probe(patient(data))) == ["engine:missing"]


def test_an_agent_that_never_came_and_one_that_went_silent_are_named(data: Path, db: None) -> None:
    assert codes(machine_probes.agent_probe(patient(data))) == ["agent:never"]
    past = timezone.now() - timedelta(minutes=5)
    Machine.objects.create(name="attic", seen_at=past, expires_at=past)
    Machine.objects.create(name="cellar", seen_at=timezone.now(), expires_at=timezone.now() + timedelta(minutes=1))
    [finding] = machine_probes.agent_probe(patient(data))
    assert finding.code == "agent:silent"
    assert "attic" in finding.what


def test_a_change_that_nobody_takes_up_is_named(data: Path, workspace: Workspace) -> None:
    assert codes(machine_probes.changes_probe(patient(data))) == []
    Change.objects.update(created_at=timezone.now() - timedelta(hours=1))
    [finding] = machine_probes.changes_probe(patient(data))
    assert finding.code == "changes:stuck"
    assert "has no machine" in finding.what


def test_a_change_begun_by_an_agent_that_is_gone_is_named(data: Path, workspace: Workspace) -> None:
    past = timezone.now() - timedelta(minutes=5)
    machine = Machine.objects.create(name="attic", expires_at=past)
    Change.objects.update(status="applying", machine=machine)
    assert codes(machine_probes.changes_probe(patient(data))) == ["changes:stuck"]


def test_folders_of_destroyed_and_unknown_environments_are_told_apart(data: Path, workspace: Workspace) -> None:
    unknown = str(uuid4())
    for name in (str(workspace.pk), unknown):
        (data / "agent" / "volumes" / name / "home").mkdir(parents=True)
    assert codes(machine_probes.leftovers_probe(patient(data))) == ["leftovers:unknown"]
    Workspace.objects.update(destroyed_at=timezone.now())
    reports = {report.name: report for report in examine(patient(data), fix=True)}
    assert codes(iter(reports["leftovers"].findings)) == ["leftovers:unknown"]
    assert not (data / "agent" / "volumes" / str(workspace.pk)).exists()
    assert (data / "agent" / "volumes" / unknown / "home").is_dir()


def test_processes_of_a_destroyed_environment_are_named_and_ended(data: Path, workspace: Workspace) -> None:
    environ = {MARKER: f"{workspace.pk}/app", "HOME": str(data / "agent" / "volumes"), "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen(["sleep", "60"], env=environ)
    try:
        assert codes(machine_probes.leftovers_probe(patient(data))) == []
        Workspace.objects.update(destroyed_at=timezone.now())
        [finding] = machine_probes.leftovers_probe(patient(data))
        assert finding.code == "leftovers:processes"
        assert str(process.pid) in finding.cure
        assert finding.fix
        finding.fix()
        assert process.wait(5) == -9
    finally:
        process.kill()


def test_a_provider_that_cannot_be_started_is_named(data: Path) -> None:
    folder = data / "agent/plugins/slipway.local/slipway/slipway/0.1.0/linux_amd64"
    folder.mkdir(parents=True)
    launcher = folder / "terraform-provider-slipway_v0.1.0"
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S /nowhere/main.py --site /nowhere\n")
    launcher.chmod(0o755)
    assert codes(machine_probes.mirror_probe(patient(data))) == ["mirror:broken"]
    launcher.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {__file__} --site {data}\n")
    assert codes(machine_probes.mirror_probe(patient(data))) == []


def test_limits_and_isolation_can_be_examined_here(data: Path) -> None:
    """What this machine offers differs; that the probes work through does not."""
    for probe in (machine_probes.limits_probe, machine_probes.isolation_probe):
        assert set(codes(probe(patient(data)))) <= {"limits:watch", "isolation:weak", "isolation:none"}


# The command


def test_a_probe_that_breaks_does_not_silence_the_others(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(patient: Patient) -> Iterator[Finding]:
        raise ValueError("no")
        yield

    import apps.core.doctor as doctor

    monkeypatch.setitem(doctor._probes, "broken", doctor.Probe("broken", broken))
    reports: dict[str, Report] = {one.name: one for one in examine(patient(data, database=False, broker=False))}
    assert codes(iter(reports["broken"].findings)) == ["doctor:broken"]
    assert reports["file modes"].state == "well"


def test_the_command_ends_with_1_and_speaks_json(data: Path, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    (data / "keys").chmod(0o777)
    out = io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", "--json", stdout=out)
    assert ended.value.code == 1
    answer = json.loads(out.getvalue())
    assert answer["ok"] is False
    found = [finding for check in answer["checks"] for finding in check["findings"]]
    assert "files:mode" in [finding["code"] for finding in found]
    assert all(finding["what"] and finding["cure"] for finding in found)


def test_the_command_works_where_nothing_ever_ran(tmp_path: Path) -> None:
    """No database, no key, no folder: it says that, in words, and not with a traceback."""
    names = ("DATABASE_URL", "BROKER_URL", "SECRET_KEY", "SLIPWAY_KEYS", "DJANGO_SETTINGS_MODULE")
    environ = {name: value for name, value in os.environ.items() if name not in names}
    environ |= {"SLIPWAY_DATA": str(tmp_path / "nothing")}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"], cwd=root, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "There is no" in done.stdout
    assert "make up" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
