"""Services as a caller sees them: start, change, crash, stop, limits, logs."""

import os
import signal
import time
from pathlib import Path

from apps.provisioning.machine.processes import process_start


def test_a_service_answers_and_is_described(bench):
    service = bench.service()
    assert service["status"] == "running"
    assert service["id"] == f"{bench.workspace}/app"
    assert service["address"] == f"127.0.0.1:{service['port']}"
    assert len(service["secret"]) == 43
    assert service["isolation"] == bench.machine.isolation
    answer = bench.get(service)
    assert answer["environ"]["SLIPWAY_PORT"] == str(service["port"])
    seen = bench.observed()
    assert seen.status == "running"
    assert seen.memory_bytes > 1_000_000
    assert seen.pid
    assert process_start(seen.pid)


def test_the_service_inherits_nothing(bench, monkeypatch):
    service = bench.service(environment={"GREETING": "at {port}"}, secret_environment={"TOKEN": "{secret}"})
    environ = bench.get(service)["environ"]
    assert environ.pop("GREETING") == f"at {service['port']}"
    assert environ.pop("TOKEN") == service["secret"]
    assert environ.keys() <= {
        "PATH", "LANG", "USER", "SHELL", "PYTHONUNBUFFERED", "HOME", "TMPDIR", "PWD", "LC_CTYPE",
        "SLIPWAY_PORT", "SLIPWAY_SECRET", "SLIPWAY_CONTEXT_FILE", "SLIPWAY_SERVICE_ID",
    }  # fmt: skip


def test_putting_the_same_again_does_not_restart_and_a_change_does(bench):
    first = bench.get(bench.service())["pid"], bench.observed().pid
    service = bench.service()
    assert bench.observed().pid == first[1]
    changed = bench.service(environment={"NEW": "1"})
    assert bench.observed().pid != first[1]
    assert changed["port"] == service["port"]
    assert changed["secret"] != service["secret"], "who knew it before the change knows it no more"


def test_stop_and_start_keep_port_and_files_and_change_the_secret(bench):
    service = bench.service()
    pid = bench.observed().pid
    stopped = bench.service(running=False)
    assert (stopped["status"], stopped["running"]) == ("stopped", False)
    assert not process_start(pid)
    started = bench.service()
    assert started["status"] == "running"
    assert started["port"] == service["port"]
    assert started["secret"] != service["secret"]
    assert bench.get(started)["environ"]["SLIPWAY_SECRET"] == started["secret"]


def test_an_early_end_is_told_at_once_with_its_log(bench):
    bench.volume()
    began = time.monotonic()
    command = ["/bin/sh", "-c", "echo the reason; exit 7"]
    status, problem = bench.ask("PUT", "/v1/services/app", bench.service_body(command=command))
    assert status == 422
    assert problem["code"] == "machine:service-ended"
    assert "exit code 7" in problem["detail"]
    assert "the reason" in problem["log"]
    assert time.monotonic() - began < 10
    seen = bench.observed()
    assert seen.status == "crashed"
    assert "exit code 7" in seen.reason


def test_a_service_that_never_answers_times_out_and_is_ended(bench):
    bench.volume()
    body = bench.service_body(command=["/bin/sh", "-c", "echo waiting; exec sleep 1000"], health_timeout_s=1)
    status, problem = bench.ask("PUT", "/v1/services/app", body)
    assert status == 504
    assert problem["log"] == ["waiting"]
    assert bench.observed().pid is None


def test_a_missing_program_is_named(bench):
    bench.volume()
    status, problem = bench.ask("PUT", "/v1/services/app", bench.service_body(command=["no-such-program"]))
    assert status == 422
    assert any("no-such-program" in line for line in problem["log"])


def test_a_crash_is_restarted_and_a_crash_loop_is_given_up(bench):
    service = bench.service()
    first = bench.observed().pid
    os.kill(first, signal.SIGKILL)
    seen = bench.wait(lambda entry: entry.status == "running" and entry.pid not in (None, first))
    assert seen.restarts == 1
    assert "signal 9" in seen.reason
    os_exit_until_given_up(bench, service)
    seen = bench.observed()
    assert seen.status == "crashed"
    assert "not started again" in seen.reason


def os_exit_until_given_up(bench, service):
    deadline = time.monotonic() + 60
    while bench.observed().status != "crashed":
        assert time.monotonic() < deadline, bench.observed()
        pid = bench.observed().pid
        if pid:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def test_deleting_ends_everything_it_started(bench):
    service = bench.service()
    bench.get(service, "/spawn")
    marker = f"SLIPWAY_SERVICE_ID={bench.workspace}/app".encode()
    assert marked(marker)
    assert bench.ask("DELETE", "/v1/services/app") == (204, None)
    assert bench.ask("DELETE", "/v1/services/app") == (204, None)
    assert bench.ask("GET", "/v1/services/app")[0] == 404
    assert not marked(marker)


def marked(marker: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if marker in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_the_log_is_read_on_from_where_it_was(bench):
    service = bench.service()
    text, offset = bench.machine.log_tail(bench.workspace, "app")
    assert "serving\n" in text
    bench.get(service, "/second")
    time.sleep(0.3)
    text, offset = bench.machine.log_tail(bench.workspace, "app", offset)
    assert text == "asked for /second\n"
    assert bench.machine.log_tail(bench.workspace, "app", offset) == ("", offset)


def test_a_service_over_its_memory_is_out_of_memory(bench_make):
    for limits in (None, "watch"):
        bench = bench_make(limits=limits)
        service = bench.service(memory_mb=128)
        try:
            bench.get(service, "/eat")
        except (OSError, Exception):
            pass
        seen = bench.wait(lambda entry: entry.status == "out_of_memory")
        assert seen.reason.startswith("128 MB of memory reached at ")
        assert seen.memory_limit_bytes == 128 << 20
        assert bench.ask("GET", "/v1/services/app")[1]["status"] == "out_of_memory"
        bench.machine.stop_services("next")
        bench.machine.close()


def test_a_child_over_the_memory_is_counted_and_the_service_goes_on(bench_make):
    for limits in (None, "watch"):
        bench = bench_make(limits=limits)
        service = bench.service(memory_mb=160)
        bench.get(service, "/child")
        seen = bench.wait(lambda entry: entry.oom_kills > 0)
        assert seen.status == "running"
        assert seen.restarts == 0
        assert "160 MB of memory reached" in seen.reason
        bench.machine.stop_services("next")
        bench.machine.close()


def test_new_limits_reach_a_running_service(bench):
    bench.service(memory_mb=256)
    pid = bench.observed().pid
    bench.service(memory_mb=512)
    seen = bench.observed()
    assert seen.memory_limit_bytes == 512 << 20
    if bench.machine.limits != "watch":
        assert seen.pid == pid


def test_context_changes_are_seen_without_a_restart(bench):
    directory = bench.machine.layout.workspace(bench.workspace)
    directory.mkdir(parents=True, mode=0o700)
    (directory / "context.json").write_text('{"slipway.team": "vision"}')
    output = bench.run("import os; print(open(os.environ['SLIPWAY_CONTEXT_FILE']).read())")
    assert output.strip() == '{"slipway.team": "vision"}'


def test_what_ended_early_is_not_started_again_behind_the_answer(bench):
    bench.volume()
    body = bench.service_body(command=["/bin/sh", "-c", "exit 7"])
    for _attempt in range(4):
        assert bench.ask("PUT", "/v1/services/app", body)[1]["code"] == "machine:service-ended"
    ended = bench.observed()
    time.sleep(2.5)
    assert bench.observed() == ended
    assert set(bench.machine.supervisor.states().values()) <= {"STOPPED", "EXITED"}
