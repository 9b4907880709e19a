"""What a killed provider had begun: it ends, and what its state does not know does not stay."""

import http.client
import json
import socket
import time

from tests.provisioning.machine.test_survival import runs_of

LATE = "import time; time.sleep(30)"


def test_a_start_nobody_waits_for_any_more_is_given_up(bench):
    bench.volume()
    python = bench.service_body()["command"][0]
    body = json.dumps(bench.service_body(command=[python, "-c", LATE], health_timeout_s=60)).encode()
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.connect(str(bench.machine.socket_path))
    connection.request("PUT", "/v1/services/app", body=body, headers={"Authorization": f"Bearer {bench.ask.token}"})
    deadline = time.monotonic() + 20
    while not (bench.machine.observe() and bench.observed().pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    connection.close()
    seen = bench.wait(lambda entry: entry.pid is None and entry.status == "crashed", seconds=20)
    assert "gone" in seen.reason


def test_services_that_no_state_knows_are_removed_and_volumes_kept(bench):
    bench.service()
    assert len(runs_of(bench.workspace)) == 1
    assert bench.machine.settle_services(bench.workspace, {"app": True}) == []
    assert len(runs_of(bench.workspace)) == 1
    assert bench.machine.settle_services(bench.workspace, {"app": False}) == ["app"]
    assert runs_of(bench.workspace) == []
    assert bench.ask("GET", "/v1/services/app")[1]["running"] is False
    assert bench.machine.settle_services(bench.workspace, {}) == ["app"]
    assert bench.ask("GET", "/v1/services/app")[0] == 404
    assert bench.ask("GET", "/v1/volumes/home")[0] == 200
