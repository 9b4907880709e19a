"""The socket's contract: who may ask, what is refused and how."""

import http.client
import socket
import stat

import pytest


def test_health_names_isolation_and_limits(bench):
    status, health = bench.ask("GET", "/v1/health")
    assert status == 200
    assert health["isolation"] in ("bubblewrap+uid", "bubblewrap", "landlock", "none")
    assert health["limits"] in ("cgroup1", "cgroup2", "watch")
    assert health["version"]


def test_the_socket_and_the_root_are_private(bench):
    path = bench.machine.socket_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(bench.machine.layout.root.stat().st_mode) == 0o700
    assert stat.S_IMODE((bench.machine.layout.root / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change", [lambda t: None, lambda t: t[:-1], lambda t: "x" + t, lambda t: t.upper(), lambda t: "ä."]
)
def test_a_wrong_token_is_unauthorized(bench, change):
    bench.volume()
    bench.ask.token = change(bench.ask.token)
    if bench.ask.token and not bench.ask.token.isascii():
        bench.ask.token = bench.ask.token.encode().decode("latin-1")
    status, problem = bench.ask("GET", "/v1/volumes/home")
    assert (status, problem["code"]) == (401, "machine:unauthorized")
    assert problem["status"] == 401


def test_an_environment_sees_only_its_own(bench):
    bench.service()
    stranger = bench.client("00000000-0000-0000-0000-000000000001")
    assert stranger("GET", "/v1/volumes/home")[0] == 404
    assert stranger("GET", "/v1/services/app")[0] == 404
    assert stranger("DELETE", "/v1/services/app")[0] == 204
    assert bench.observed().status == "running"
    status, problem = stranger("PUT", "/v1/services/app", bench.service_body())
    assert (status, problem["code"]) == (422, "machine:volume-not-found")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/volumes/home", b"{"),
        ("PUT", "/v1/volumes/home", []),
        ("PUT", "/v1/volumes/home", {"unknown": 1}),
        ("PUT", "/v1/volumes/home", {"files": {"../x": "y"}}),
        ("PUT", "/v1/volumes/home", {"files": {"/etc/x": "y"}}),
        ("PUT", "/v1/volumes/home", {"files": {"x": 1}}),
        ("PUT", "/v1/volumes/home", {"size_limit_mb": -1}),
        ("PUT", "/v1/volumes/Home", {}),
        ("PUT", "/v1/volumes/..", {}),
        ("PUT", "/v1/volumes/home", {"repository": "ext::sh -c id"}),
        ("PUT", "/v1/runtimes", {"python": "3.11"}),
        ("PUT", "/v1/runtimes", {"requirements": "", "files": {"../x.py": ""}}),
        ("PUT", "/v1/runtimes", {"requirements": "x", "python": "2.7"}),
        ("PUT", "/v1/services/app", None),
        ("PUT", "/v1/services/app", {"command": "sleep"}),
        ("PUT", "/v1/services/app", {"command": ["sleep"], "volume": "other/home"}),
        ("PUT", "/v1/services/app", {"command": ["x"], "volume": "a/b", "environment": {"A=B": "c"}}),
        ("PUT", "/v1/services/app", {"command": ["x"], "volume": "a/b", "memory_mb": 1}),
        ("PUT", "/v1/services/app", {"command": ["x"], "volume": "a/b", "health_path": "no\r\nslash"}),
        ("PUT", "/v1/services/app", {"command": ["x"], "volume": "a/b", "cpu": True}),
    ],
)
def test_bad_bodies_are_422_and_change_nothing(bench, method, path, body):
    status, problem = bench.ask(method, path, body)
    assert status == 422, problem
    assert problem.keys() >= {"type", "title", "status", "detail", "code"}
    assert bench.machine.leftovers([]) == []


def test_unknown_addresses_and_methods(bench):
    assert bench.ask("GET", "/v2/health")[0] == 404
    assert bench.ask("GET", "/")[0] == 404
    assert bench.ask("POST", "/v1/volumes/home", {})[0] == 405


def test_a_large_body_is_refused_unread(bench):
    connection = http.client.HTTPConnection("localhost")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(bench.machine.socket_path))
    headers = {"Authorization": f"Bearer {bench.ask.token}", "Content-Length": str(1 << 40)}
    connection.request("PUT", "/v1/volumes/home", headers=headers)
    assert connection.getresponse().status == 413
    connection.close()
