"""The parts of a real installation, each started by the ExecStart line of its unit, on services of somebody's own."""

import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from portal.up.places import Places, folder_private
from portal.up.postgres import SUPERUSER, EmbeddedPostgres
from portal.up.valkey import EmbeddedValkey
from tests.e2e.conftest import ROOT, port_free
from tests.keeping.units import DEPLOY, Unit, environment_read

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(300)]

MODULE = Path(__file__).parent / "modules" / "kept"
HOST = "slipway.example.com"
PARTS = ("mlflow", "web", "worker", "beat", "agent")


def wait_for(reached: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := reached()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)
    return value


@dataclass
class Installation:
    """What the guide sets up: a database, a queue, two environment files, and the units."""

    folder: Path
    data: Path
    port: int
    units: dict[str, Unit]
    environ: dict[str, str]

    def manage(self, *arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environ | more,
            input=stdin,
            capture_output=True,
            text=True,
        )

    def call(self, method: str, path: str, body: object = None, token: str = "") -> tuple[int, Any]:
        """As nginx passes a request on."""
        headers = {"Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        headers |= {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        address = f"http://127.0.0.1:{self.port}/{path}"
        request = urllib.request.Request(address, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def status_wait(self, environment: str, token: str, wanted: str) -> dict[str, Any]:
        def reached() -> Any:
            row = self.call("GET", f"api/v1/environments/{environment}/", token=token)[1]
            assert row["status"] != "failed", row
            return row if row["status"] == wanted and not row["active_change"] else None

        return wait_for(reached, 90, wanted)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    folder = Path(tempfile.mkdtemp(prefix="slipway-units-"))
    places = Places(folder_private(folder / "own"))
    passwords = {SUPERUSER: secrets.token_urlsafe(24), "slipway": secrets.token_urlsafe(24)}
    postgres = EmbeddedPostgres(folder / "own" / "postgres", places.sockets, places.log("postgres"), passwords)
    valkey = EmbeddedValkey(folder / "own" / "valkey", places.log("valkey"), secrets.token_urlsafe(24))
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    installed = None
    try:
        postgres.start()
        valkey.start()
        postgres.ensure_role("slipway", create_databases=True)
        for name in ("slipway", "slipway_mlflow"):
            postgres.ensure_database(name, owner="slipway")
        installed = installation_make(folder, postgres, valkey, listening)
        yield installed
    finally:
        if installed:
            for name in reversed(PARTS):
                installed.units[name].stop()
            ended = "from pathlib import Path; from apps.provisioning.machine import Machine; import sys\n"
            ended += "m = Machine(Path(sys.argv[1]), socket_path=Path(sys.argv[1]) / 'run' / 'agent.sock')\n"
            ended += "m.start(); m.stop_services('over'); m.close()"
            subprocess.run([sys.executable, "-c", ended, str(installed.data / "agent")], cwd=ROOT, timeout=60)
        listening.close()
        valkey.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def installation_make(
    folder: Path, postgres: EmbeddedPostgres, valkey: EmbeddedValkey, listening: socket.socket
) -> Installation:
    data, mlflow_port, port = folder / "data", port_free(), int(listening.getsockname()[1])
    data.mkdir(mode=0o700)
    (folder / "keys").write_text(Fernet.generate_key().decode() + "\n")
    secret = secrets.token_urlsafe(32)
    store = postgres.url(role="slipway", database="slipway_mlflow")
    portal = environment_read(DEPLOY / "slipway.env") | {
        "SLIPWAY_DATA": str(data),
        "PORTAL_URL": f"https://{HOST}",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "SLIPWAY_KEYS_FILE": str(folder / "keys"),
        "DATABASE_URL": postgres.url(role="slipway", database="slipway"),
        "BROKER_URL": valkey.url(),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{mlflow_port}",
        "MLFLOW_SERVER_SECRET": secret,
        "SLIPWAY_MACHINE": "units-test",
    }
    mlflow = environment_read(DEPLOY / "mlflow.env") | {
        "MLFLOW_BACKEND_STORE_URI": "postgresql+psycopg" + store[store.index("://") :],
        "MLFLOW_SERVER_SECRET": secret,
    }
    environment = {"slipway.env": portal, "mlflow.env": mlflow}
    units = {
        name: Unit(name, data, environment, folder / f"{name}.log", listening if name == "web" else None)
        for name in (*PARTS, "migrate")
    }
    plain_port = units["mlflow"].command

    def command_with_port() -> list[str]:
        return [str(mlflow_port) if word == "5000" else word for word in plain_port()]

    units["mlflow"].command = command_with_port  # type: ignore[method-assign]
    installed = Installation(folder, data, port, units, units["migrate"].environ() | mlflow)
    units["migrate"].run()
    for name in PARTS:
        units[name].start()
    wait_for(lambda: _ready(installed), 90, "the portal is ready")
    return installed


def _ready(installed: Installation) -> bool:
    for name in PARTS:
        process = installed.units[name].process
        assert process is None or process.poll() is None, installed.units[name].tail()
    try:
        return installed.call("GET", "readyz")[0] == 200
    except OSError:
        return False


def test_an_installation_by_its_units_launches_keeps_and_backs_up(installation: Installation) -> None:
    """The journey of the guide: first person, module, launch; the agent restarted under it; doctor; backup."""
    made = installation.manage("create_user", "pete", "--platform-engineer", stdin="correct horse battery\n")
    assert made.returncode == 0, made.stderr
    assert installation.manage("register_module", str(MODULE)).returncode == 0
    token = installation.manage("token", "pete", "--scope", "write").stdout.strip()
    code = "from apps.accounts.models import *; t=Team.objects.create(slug='vision', name='Vision'); "
    code += "Membership.objects.create(team=t, user=User.objects.get(), role='manager')"
    assert installation.manage("shell", "-c", code).returncode == 0
    body = {"name": "Real", "team": "vision", "module": "kept"}
    status, row = installation.call("POST", "api/v1/environments/", body, token)
    assert status == 201, row
    installation.status_wait(row["id"], token, "running")
    started = service_pid(installation, row["id"])

    installation.units["agent"].stop()
    assert service_pid(installation, row["id"]) == started
    installation.units["agent"].start()
    installation.units["web"].stop()
    # The socket is systemd's: who comes meanwhile waits.
    installation.units["web"].start()
    assert installation.call("POST", f"api/v1/environments/{row['id']}/stop/", {}, token)[0] == 200
    installation.status_wait(row["id"], token, "stopped")

    report = json.loads(installation.manage("doctor", "--json").stdout)
    codes = {one["code"] for check in report["checks"] for one in check["findings"] if one["severity"] == "fault"}
    assert codes <= {"web:down", "disk:full"}, report  # https://slipway.example.com is nobody's here

    archive = installation.folder / "backup.tar"
    done = installation.manage("backup", str(archive))
    assert done.returncode == 0, done.stderr
    refused = installation.manage("restore", str(archive), SLIPWAY_DATA=str(installation.folder / "again"))
    assert "not empty" in refused.stderr


def service_pid(installation: Installation, environment: str) -> int:
    [state] = (installation.data / "agent" / "services" / environment / "app").glob("state.json")
    return int(json.loads(state.read_text())["main"][0])


def test_terminating_a_worker_loses_nothing(installation: Installation) -> None:
    worker = installation.units["worker"]
    worker.stop(signal.SIGTERM)
    assert worker.process is not None
    assert worker.process.returncode == 0, worker.tail()
    worker.start()
