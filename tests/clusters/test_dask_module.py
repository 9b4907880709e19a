"""The Dask cluster module, applied for real: it computes on its workers, grows and shrinks, opens to nobody else."""

import importlib.util
import json
import os
import socket
import ssl
import sys
from pathlib import Path

import pytest
from cryptography import x509

from apps.provisioning.machine.processes import descendants
from tests.clusters.conftest import RunModule
from tests.clusters.world import MODULES, Applied, Running, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_computation_runs_in_processes_of_the_cluster(cluster: Running) -> None:
    told = cluster.compute(
        """
pids = set(client.gather(client.map(lambda n: (time.sleep(0.05), os.getpid())[1], range(8), pure=False)))
import dask.array as da
mean = float(da.ones((2000, 2000), chunks=500).mean().compute())
hosts = client.run(lambda: (os.getpid(), os.environ.get("SLIPWAY_ENVIRONMENT")))
told = {"own": os.getpid(), "workers": sorted(pids), "mean": mean, "names": sorted({n for _, n in hosts.values()})}
"""
    )
    assert told["own"] not in told["workers"]
    assert told["mean"] == 1.0
    assert told["names"] == ["crunch"]


def test_a_second_apply_changes_nothing(dask: Applied) -> None:
    assert "No changes" in dask.plan()


def test_workers_come_with_the_work_and_go_when_it_is_done(cluster: Running) -> None:
    until(lambda: cluster.health()["workers"] == 1)
    told = cluster.compute(
        """
work = client.map(lambda n: (time.sleep(0.3), os.getpid())[1], range(50), pure=False)
most, deadline = 0, time.monotonic() + 40
while time.monotonic() < deadline and not all(f.done() for f in work):
    most = max(most, len(client.scheduler_info(n_workers=-1)["workers"]))
    time.sleep(0.2)
told = {"most": most, "pids": len(set(client.gather(work)))}
"""
    )
    assert told == {"most": 2, "pids": 2}
    until(lambda: cluster.health()["workers"] == 1, 30, cluster.health)


def test_a_worker_that_is_killed_comes_back(cluster: Running) -> None:
    told = cluster.compute(
        """
first = client.submit(os.getpid, pure=False).result()
deadline = time.monotonic() + 30
def pids():
    try:
        return set(client.run(os.getpid, on_error="ignore").values())
    except Exception:
        return set()
import signal
client.submit(os.kill, first, signal.SIGKILL, pure=False)
while time.monotonic() < deadline and (not (now := pids()) or first in now):
    time.sleep(0.2)
told = {"first": first, "now": sorted(map(str, now)), "sum": client.submit(sum, [1, 2], pure=False).result()}
"""
    )
    assert str(told["first"]) not in told["now"]
    assert told["sum"] == 3


@pytest.mark.parametrize("authorization", ["", "token wrong", "Bearer wrong", "token ", "token ☃"])
@pytest.mark.parametrize("path", ["/", "/status", "/info/main/workers.html", "/slipway/health", "/json/identity.json"])
def test_the_dashboard_opens_to_nobody_without_its_secret(cluster: Running, path: str, authorization: str) -> None:
    assert cluster.ask(path, authorization.encode().decode("latin-1"))[0] == 401


def test_the_proxys_secret_does_not_give_out_certificates(cluster: Running) -> None:
    assert cluster.ask("/slipway/connection", f"token {cluster.secret}", "POST")[0] == 401
    assert cluster.ask("/status", cluster.bearer)[0] == 401
    assert cluster.ask("/status", f"token {cluster.secret}")[0] == 200


def test_a_certificate_of_another_authority_is_refused(cluster: Running, tmp_path: Path) -> None:
    """And so is a client without one: the handshake fails before anything of Dask is read."""
    host, port = cluster.connection()["address"].removeprefix("tls://").split(":")
    for pair in (None, _foreign(tmp_path)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if pair:
            context.load_cert_chain(*pair)
        assert not _is_talked_to(context, host, int(port))


def _is_talked_to(context: ssl.SSLContext, host: str, port: int) -> bool:
    """Whether the other side says anything of its own; with TLS 1.3 a client learns of a refusal when it reads."""
    with socket.create_connection((host, port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain) as secured:
                return secured.recv(1) != b""
        except OSError:
            return False


def test_a_client_with_its_certificate_is_talked_to(cluster: Running, tmp_path: Path) -> None:
    given = cluster.connection()
    host, port = given["address"].removeprefix("tls://").split(":")
    paths = _written(tmp_path, given["tls"]["certificate"], given["tls"]["key"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=given["tls"]["ca"])
    context.load_cert_chain(*paths)
    assert _is_talked_to(context, host, int(port))


def test_every_client_has_a_certificate_of_its_own_for_a_day(cluster: Running) -> None:
    one, other = (
        x509.load_pem_x509_certificate(cluster.connection(who)["tls"]["certificate"].encode()) for who in "ab"
    )
    assert one.serial_number != other.serial_number
    assert one.subject.rfc4514_string() == "CN=a"
    assert (one.not_valid_after_utc - one.not_valid_before_utc).total_seconds() < 25 * 3600


def test_code_on_a_worker_finds_no_secret_of_the_cluster(cluster: Running) -> None:
    told = cluster.compute(
        """
def look():
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = open(f"/proc/{pid}/environ", "rb").read().decode("utf-8", "replace")
        except OSError:
            continue
        found[pid] = "SLIPWAY_SECRET" in text
    own = sorted(name for name in os.environ if "SECRET" in name or "TOKEN" in name)
    return {"own": own, "others": sorted(pid for pid in found if found[pid])}
told = client.submit(look, pure=False).result()
"""
    )
    assert told["own"] == []
    if os.geteuid() == 0:  # Elsewhere code and cluster are one user to the kernel in more ways than this.
        assert told["others"] == []


def test_nothing_of_it_listens_without_a_secret(dask: Applied, cluster: Running) -> None:
    """Workers and their keepers have no web page: what listens speaks TLS, or is the door."""
    door = int(cluster.address.rpartition(":")[2])
    state = json.loads((dask.machine.layout.service(dask.workspace, "dask") / "state.json").read_text())
    pids = {stat.pid for stat in descendants(state["main"][0])}
    found = _listening(pids) - {door}
    assert found
    for port in found:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain:
            plain.settimeout(3)
            plain.sendall(b"GET /info/main/workers.html HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                answer = plain.recv(200)
            except OSError:
                continue
        assert answer == b"" or b" 404 " in answer, (port, answer)


def test_stopped_and_started_it_computes_again_under_another_authority(dask: Applied, cluster: Running) -> None:
    before = cluster.connection()
    dask.apply(running=False)
    with pytest.raises(OSError, match="refused"):
        cluster.ask("/slipway/health")
    dask.apply(running=True)
    outputs = dask.outputs
    again = Running(outputs["address"], outputs["secret"], cluster.python)
    assert outputs["secret"] != cluster.secret
    assert again.compute("told = {'sum': client.submit(sum, [20, 22]).result()}") == {"sum": 42}
    now = again.connection()
    assert now["tls"]["ca"] != before["tls"]["ca"]


def test_the_notebook_and_the_cluster_share_one_runtime() -> None:
    """The same lock and the same files laid over it: built once, and never of different versions."""

    def files(module: str) -> dict[str, bytes]:
        top = MODULES / module / "runtime"
        return {
            path.relative_to(top).as_posix(): path.read_bytes()
            for path in top.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }

    assert files("local-notebook") == files("local-dask-cluster"), "copy runtime/ of the notebook over the cluster's"


def test_more_at_least_than_at_most_is_refused_in_words(apply_module: RunModule) -> None:
    applied = apply_module("local-dask-cluster")
    said = applied.apply(code=1, workers_minimum=3, workers_maximum=2)
    assert "Choose at least as many as there always are" in " ".join(said.split())


def _foreign(folder: Path) -> tuple[Path, Path]:
    """A certificate and key that another authority signed."""
    source = MODULES / "local-dask-cluster" / "runtime" / "plugin" / "slipway_cluster" / "certificates.py"
    spec = importlib.util.spec_from_file_location("foreign_certificates", source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    pair = module.Authority("another").issue("mallory")
    return _written(folder, pair.certificate, pair.key)


def _written(folder: Path, *texts: str) -> tuple[Path, Path]:
    paths = folder / "certificate.pem", folder / "key.pem"
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    return paths


def _listening(pids: set[int]) -> set[int]:
    sockets = set()
    for pid in pids:
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            continue
        sockets |= {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:[")}
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {
        int(line.split()[1].partition(":")[2], 16)
        for line in lines
        if line.split()[3] == "0A" and line.split()[9] in sockets
    }
