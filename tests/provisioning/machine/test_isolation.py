"""What code in a service can reach, in every way of isolation that works here."""

import json
import os
import subprocess
import uuid

import pytest

from apps.provisioning.machine.entry import landlock_abi

MODES = ["bubblewrap+uid" if os.getuid() == 0 else "bubblewrap", "landlock"]


@pytest.fixture(params=MODES)
def isolated(request, bench_make):
    if request.param == "landlock" and not landlock_abi():
        pytest.skip("the kernel has no Landlock")
    return bench_make(isolation=request.param)


def reads(bench, *paths) -> dict[str, str]:
    """For each path what reading it inside the service says."""
    code = (
        "import json, os\n"
        "def look(path):\n"
        "    try: return 'listed' if os.path.isdir(path) and os.listdir(path) else str(open(path, 'rb').read(1))\n"
        "    except OSError as error: return type(error).__name__\n"
        f"print(json.dumps({{path: look(path) for path in {[str(path) for path in paths]!r}}}))"
    )
    return json.loads(bench.run(code).splitlines()[0])


def test_the_agents_files_cannot_be_read(isolated):
    other = isolated.client(str(uuid.uuid4()))
    assert other("PUT", "/v1/volumes/home", {"files": {"private": "x"}})[0] == 201
    root = isolated.machine.layout.root
    paths = [root, root / "secret", root / "supervisor" / "password", root / "volumes", root.parent, "/etc/shadow",
             root / "volumes" / other.token.partition(".")[0] / "home" / "private", "/home", os.getcwd()]  # fmt: skip
    seen = reads(isolated, *paths, "/usr/bin", "/etc/ssl")
    assert seen.pop("/usr/bin") == "listed"
    assert seen.pop("/etc/ssl") == "listed"
    assert set(seen.values()) <= {"FileNotFoundError", "PermissionError", "IsADirectoryError"}, seen


def test_no_environment_of_another_process_can_be_read(isolated, monkeypatch):
    paths = [f"/proc/{os.getpid()}/environ", f"/proc/{os.getppid()}/environ", f"/proc/{os.getpid()}/root/etc/hostname"]
    seen = reads(isolated, *paths)
    assert set(seen.values()) <= {"FileNotFoundError", "PermissionError"}, seen


def test_other_processes_are_not_seen_or_signalled(isolated):
    with subprocess.Popen(["/bin/sleep", "100"]) as victim:
        code = (
            "import os\n"
            f"try: os.kill({victim.pid}, 9); print('killed')\n"
            "except OSError as error: print(type(error).__name__)\n"
            "print(len([name for name in os.listdir('/proc') if name.isdigit()]))"
        )
        signalled, count = isolated.run(code).split()
        assert victim.poll() is None
        victim.kill()
    assert signalled in ("ProcessLookupError", "PermissionError")
    if isolated.machine.isolation != "landlock":
        assert int(count) <= 4


def test_no_privileges_are_left(isolated):
    output = isolated.run("print(open('/proc/self/status').read())")
    status = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapAmb"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    if isolated.machine.isolation == "bubblewrap+uid":
        uid = isolated.machine.owners.uid(isolated.workspace)
        assert {int(number) for number in status["Uid"].split()} == {uid}
        assert status["Groups"].strip() == ""
        assert int(status["CapBnd"], 16) == 0


def test_home_and_scratch_can_be_written_and_the_system_cannot(isolated):
    code = (
        "import os, tempfile\n"
        "os.makedirs('made/deep'); open('made/deep/file', 'w').write('x'); os.rename('made/deep/file', 'file')\n"
        "with tempfile.NamedTemporaryFile() as file: file.write(b'x')\n"
        "import multiprocessing; multiprocessing.Lock()\n"
        "for path in ('/usr/x', '/etc/x', '/x', '/run/x'):\n"
        "    try: open(path, 'w'); print('written', path)\n"
        "    except OSError: pass\n"
        "import pwd, socket; print(pwd.getpwuid(os.getuid()).pw_name, os.getcwd() == os.environ['HOME'])"
    )
    output = isolated.run(code)
    assert "written" not in output
    assert output.split()[-1] == "True"
    assert (isolated.machine.layout.volume(isolated.workspace, "home") / "file").read_text() == "x"


def test_no_isolation_is_named_and_warned_of(bench_make):
    bench = bench_make(isolation="none", limits="watch")
    assert bench.service()["isolation"] == "none"
    assert any("without isolation" in warning for warning in bench.machine.warnings)


def test_two_environments_never_share_an_os_user(bench):
    uids = {bench.machine.owners.uid(str(uuid.uuid4())) for _number in range(20)}
    assert len(uids) == 20
