"""Locking and building as the agent does it: real uv, real packages, real sandbox."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings

from apps.provisioning.agent.ahead import BuildAhead
from apps.provisioning.agent.housekeeping import runtimes_remove
from apps.provisioning.agent.runtime_making import RuntimeMaker, _taken
from apps.provisioning.machine import Machine, MachineError
from apps.provisioning.machine.locking import Locker, LockingEnded, refusal_words
from apps.provisioning.machine.runtimes import RuntimeSpec
from apps.runtimes.models import Runtime, RuntimeVersion
from apps.runtimes.services import (
    runtime_create,
    runtime_version_create,
    runtime_version_deprecate,
    runtime_version_locked,
)
from tests.factories import People, notebook_version

# Small, pure, without dependencies.
TINY = "six==1.17.0\n"


def make(machine: Machine) -> None:
    RuntimeMaker(machine=machine, stopping=threading.Event()).look()


def lock(machine: Machine, text: str, **options: Any) -> str:
    options = {"python": "3.11", "only_wheels": True, "ended": threading.Event(), **options}
    return machine.locker.lock(text, **options)


def test_requirements_become_a_lock_a_built_environment_and_the_latest_version(
    people: People, machine: Machine
) -> None:
    version = runtime_create(actor=people.pete, slug="tiny", title="Tiny", requirements=TINY)
    make(machine)
    version.refresh_from_db()
    assert (version.status, version.reason) == ("ready", "")
    assert version.packages == [{"name": "six", "version": "1.17.0"}]
    assert "--hash=sha256:" in version.lock
    assert version.size_bytes is not None
    assert version.size_bytes > 10_000
    assert Runtime.objects.get().latest_version == version
    spec = RuntimeSpec(version.lock, python="3.11")
    assert machine.runtimes.is_built(spec)
    path = machine.runtimes.path(machine.runtimes.digest(spec))
    done = subprocess.run(
        [path / "bin" / "python", "-c", "import six; print(six.__version__)"], capture_output=True, text=True
    )
    assert done.stdout.strip() == "1.17.0"
    assert list(path.glob("lib/python3*/site-packages/__pycache__/six.*.pyc")), "byte code is there already"


def test_it_is_built_as_the_modules_that_take_it_will_ask_for_it(
    people: People, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a module lays over the packages is part of the digest."""
    notebook_version()
    monkeypatch.setattr("apps.runtimes.choosing.packages_lacking", lambda interface, packages: [])
    version = runtime_create(actor=people.pete, slug="tiny", title="Tiny", requirements=TINY)
    make(machine)
    version.refresh_from_db()
    assert version.status == "ready"
    (built,) = machine.layout.runtimes.glob("*/slipway.json")
    assert list(built.parent.glob("lib/python3*/site-packages/slipway_run_context/__init__.py"))


def test_what_cannot_be_resolved_fails_in_words_with_uvs_last_lines(people: People, machine: Machine) -> None:
    version = runtime_create(
        actor=people.pete, slug="no", title="No", requirements="surely-no-package-has-this-name-4711>=1\n"
    )
    make(machine)
    version.refresh_from_db()
    assert version.status == "failed"
    assert "has no package “surely-no-package-has-this-name-4711”" in version.reason
    assert "No solution found" in version.log
    assert Runtime.objects.get().latest_version is None


def test_what_cannot_be_built_fails_and_the_one_before_stays_the_latest(
    people: People, machine: Machine, settings: Any
) -> None:
    first = runtime_create(actor=people.pete, slug="tiny", title="Tiny", requirements=TINY)
    make(machine)
    settings.RUNTIME_MEGABYTES = 0
    second = runtime_version_create(runtime=first.runtime, actor=people.pete, requirements="idna==3.10\n")
    make(machine)
    second.refresh_from_db()
    assert second.status == "failed"
    assert "a Python environment may have 0 MB" in second.reason
    assert Runtime.objects.get().latest_version == first
    assert not machine.runtimes.is_built(RuntimeSpec(second.lock, python="3.11")), "it takes no room"


def test_contradictions_and_packages_without_wheels_have_words(machine: Machine) -> None:
    with pytest.raises(MachineError, match=r"no version that fits six==1\.17\.0|contradict"):
        lock(machine, "six==1.17.0\nsix==1.16.0\n")
    with pytest.raises(MachineError, match="pyspark has no wheel that fits"):
        lock(machine, "pyspark==3.5.0\n")


def test_a_package_without_wheels_can_be_named_as_an_exception(machine: Machine) -> None:
    """The client of Spark clusters, which the notebook's own requirements name, is published as source alone."""
    made = lock(machine, "pyspark-client==4.2.*\n", from_source=("pyspark-client",))
    assert made.startswith("--no-binary pyspark-client\n--only-binary :all:\n")
    assert "pyspark-client==4.2" in made


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Because x was not found in the package registry and", "no package “x”"),
        ("Because there is no version of six==99 and you require", "no version that fits six==99"),
        ("error: Couldn't parse requirement in `requirements.in` at position 0", "One line is no requirement"),
        ("error: No solution found when resolving dependencies", "contradict"),
        ("something quite new", ""),
    ],
)
def test_words_for_what_uv_says(said: str, words: str) -> None:
    assert words in refusal_words(said)
    assert bool(refusal_words(said)) == bool(words)


def test_locking_sees_nothing_of_the_machine(machine: Machine, tmp_path: Path) -> None:
    """In uv's place a program that looks around: the agent's files are not there, its environment neither."""
    if not machine.locker.sandboxes.isolation.has_namespaces:
        pytest.skip("no namespaces here: what Landlock hides is tested with services")
    (machine.layout.root / "secret.txt").write_text("secret")
    spy = tmp_path / "uv"
    look = f"cat {machine.layout.root}/secret.txt >&2 && exit 3\ncat /proc/self/environ >&2\nid -u >&2\nexit 1\n"
    spy.write_text("#!/bin/sh\n" + look)
    spy.chmod(0o755)
    machine.runtimes._uv = str(spy)
    machine.runtimes._environ = {**os.environ, "DATABASE_URL": "postgres://secret", "HOME": str(Path.home())}
    with pytest.raises(MachineError) as caught:
        lock(machine, TINY)
    said = "\n".join(caught.value.log)
    assert "No such file" in said or "Permission denied" in said
    assert "postgres://" not in said
    if machine.locker.sandboxes.isolation.has_own_uid:
        assert said.splitlines()[-1] != "0"


def test_locking_ends_in_time_and_with_the_agent_and_leaves_nothing(machine: Machine, tmp_path: Path) -> None:
    endless = tmp_path / "uv"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    machine.runtimes._uv = str(endless)
    with pytest.raises(MachineError, match="took longer than"):
        Locker(machine.runtimes, machine.locker.sandboxes, seconds=0.5).lock(
            TINY, python="3.11", only_wheels=True, ended=threading.Event()
        )
    ended = threading.Event()
    threading.Timer(0.5, ended.set).start()
    with pytest.raises(LockingEnded):
        lock(machine, TINY, ended=ended)
    assert list((machine.layout.root / "locking").iterdir()) == []


def test_a_python_that_is_not_there_is_named(machine: Machine) -> None:
    with pytest.raises(MachineError, match=r"Python 3\.99 is not installed"):
        lock(machine, TINY, python="3.99")


def test_no_code_of_a_package_runs_while_it_is_built(machine: Machine, tmp_path: Path) -> None:
    """A .pth file runs whatever it says at each start of the Python it lies in: none is started."""
    mark = tmp_path / "ran"
    spec = RuntimeSpec(
        "# nothing\n", files={"evil.pth": f"import os; open({str(mark)!r}, 'w').close()\n", "m.py": "x=1\n"}
    )
    machine.runtimes.prepare(spec, ended=threading.Event())
    path = machine.runtimes.path(machine.runtimes.digest(spec))
    assert not mark.exists()
    assert list(path.glob("lib/python3*/site-packages/__pycache__/m.*.pyc"))
    subprocess.run([path / "bin" / "python", "-c", "pass"], check=True)
    assert mark.exists(), "the file is one that runs"


def test_one_agent_makes_a_version_at_a_time(people: People, machine: Machine) -> None:
    version = runtime_create(actor=people.pete, slug="tiny", title="Tiny", requirements=TINY)
    with _taken(version) as ours, _taken(version) as theirs:
        assert (ours, theirs) == (True, False)
        make(machine)
        version.refresh_from_db()
        assert version.status == "locking", "another agent is at it"
    make(machine)
    version.refresh_from_db()
    assert version.status == "ready"


def test_an_agent_that_ends_leaves_the_version_to_the_next(people: People, machine: Machine, tmp_path: Path) -> None:
    version = runtime_create(actor=people.pete, slug="tiny", title="Tiny", requirements=TINY)
    endless = tmp_path / "uv"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    machine.runtimes._uv = str(endless)
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    RuntimeMaker(machine=machine, stopping=stopping).look()
    version.refresh_from_db()
    assert (version.status, version.reason) == ("locking", "")
    machine.runtimes._uv = None
    make(machine)
    version.refresh_from_db()
    assert version.status == "ready"


@pytest.mark.django_db(transaction=True)
def test_a_killed_agent_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of locking: PostgreSQL lets its lock go with its session, uv ends with it."""
    from tests.factories import people_make

    people = people_make()
    monkeypatch.setattr(settings, "DATABASE_URL", url_of_test())
    version = runtime_create(actor=people.pete, slug="tiny", title="Tiny", requirements=TINY)
    endless = tmp_path / "uv"
    endless.write_text("#!/bin/sh\nexec sleep 600\n")
    endless.chmod(0o755)
    code = f"""
import threading, django
django.setup()
from django.db import connections
from django.conf import settings
from pathlib import Path
connections.databases["default"]["NAME"] = {settings.DATABASES["default"]["NAME"]!r}
settings.DATABASE_URL = {settings.DATABASE_URL!r}
from apps.provisioning.machine import Machine
from apps.provisioning.agent.ahead import BuildAhead
from apps.provisioning.agent.housekeeping import runtimes_remove
from apps.provisioning.agent.runtime_making import RuntimeMaker
machine = Machine(Path({str(tmp_path / "a")!r}), socket_path=Path({str(tmp_path / "a" / "s")!r}), uv={str(endless)!r})
machine.start()
print("up", flush=True)
RuntimeMaker(machine=machine, stopping=threading.Event()).look()
"""
    agent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.DEVNULL, env={**os.environ}, cwd=settings.BASE_DIR
    )
    try:
        deadline = time.monotonic() + 60
        while not (found := sleeping(tmp_path / "a")) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found, "uv was started"
        with _taken(version) as ours:
            assert not ours
    finally:
        agent.send_signal(signal.SIGKILL)
        agent.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{one}").exists() for one in found) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{one}").exists() for one in found), "uv has ended with its agent"
    with _taken(version) as ours:
        assert ours
    machine = Machine(tmp_path / "a", socket_path=tmp_path / "a" / "s")
    machine.start()
    try:
        assert list((tmp_path / "a" / "locking").iterdir()) == [], "what it left is removed"
        make(machine)
    finally:
        machine.stop_services("The test is over")
        machine.close()
    assert RuntimeVersion.objects.get().status == "ready"


def url_of_test() -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        name = cursor.fetchone()[0]
    return psycopg.conninfo.make_conninfo(str(settings.DATABASE_URL), dbname=name)


def sleeping(root: Path) -> list[int]:
    """Processes whose working directory or arguments lie in the folder of a lock."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(str(root / "locking").encode() in word for word in words):
                found.append(int(entry.name))
    return found


def test_what_ready_versions_need_stays_and_deprecated_ones_go_unless_used(
    people: People, machine: Machine, settings: Any
) -> None:
    settings.KEEP_UNUSED_RUNTIMES = 5
    names = {"kept": "# a\n", "gone": "# b\n", "used": "# c\n"}
    specs = {}
    for name, text in names.items():
        version = runtime_create(actor=people.pete, slug=name, title=name, requirements=TINY)
        runtime_version_locked(version_id=version.pk, lock=text)
        make(machine)
        specs[name] = RuntimeSpec(text, python="3.11")
        if name != "kept":
            version.refresh_from_db()
            runtime_version_deprecate(version=version, actor=people.pete)
    machine.runtimes.put("5c1d0e00-0000-4000-8000-000000000000", specs["used"])
    runtimes_remove(machine)
    built = {name: machine.runtimes.is_built(spec) for name, spec in specs.items()}
    assert built == {"kept": True, "gone": False, "used": True}
    settings.KEEP_UNUSED_RUNTIMES = 0
    runtimes_remove(machine)
    assert machine.runtimes.is_built(specs["kept"])


def test_a_ready_version_is_built_ahead_for_new_modules_and_its_size_learned(people: People, machine: Machine) -> None:
    """As what comes with Slipway, which nobody has built yet."""
    version = runtime_create(actor=people.pete, slug="ahead", title="Ahead", requirements=TINY)
    RuntimeVersion.objects.filter(pk=version.pk).update(status="ready", lock="# nothing\n")
    Runtime.objects.update(latest_version=version)
    ahead = BuildAhead(machine=machine, is_idle=lambda: True, stopping=threading.Event())
    ahead.look()
    assert machine.runtimes.is_built(RuntimeSpec("# nothing\n", python="3.11"))
    version.refresh_from_db()
    assert version.size_bytes
    ahead.look()
