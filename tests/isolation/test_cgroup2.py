"""The second version of control groups, in a mount of its own: of what it does, all that needs no controller.

Where the first version holds memory, cpu and pids, as on many machines, the second can be mounted beside it and has
groups and `cgroup.kill`; limits are then tried with the first (tests of services and of bounds).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import json, os, subprocess, sys, time
from apps.provisioning.machine.cgroups import Group
group = Group(2, {"": sys.argv[1] + "/slipway-test-%d" % os.getpid()})
group.create()
try:
    children = [subprocess.Popen(["/bin/sleep", "60"]) for _ in range(3)]
    for child in children:
        group.join(child.pid)
    late = subprocess.Popen(["/bin/sh", "-c", "sleep 60 & sleep 60"], preexec_fn=lambda: group.join(os.getpid()))
    time.sleep(0.5)
    held = set(group.pids())
    joined = {child.pid for child in (*children, late)} <= held
    killed = group.kill()
    codes = [child.wait(5) for child in (*children, late)]
    print(json.dumps({"joined": joined, "killed": len(killed), "left": group.pids(), "codes": codes,
                      "memory": group.memory_bytes(), "kills": group.oom_kills(), "cpu": group.cpu_seconds()}))
finally:
    group.remove()
print(json.dumps(os.path.exists(group.paths[""])))
"""


def test_groups_of_the_second_version_hold_and_end_processes(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can mount control groups")
    script = 'mount -t cgroup2 none "$1" || exit 77; exec "$2" -c "$3" "$1"'
    command = ["unshare", "-m", "/bin/sh", "-c", script, "sh", str(tmp_path), sys.executable, CODE]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    if done.returncode in (1, 77) and ("mount" in done.stderr or "unshare" in done.stderr):
        pytest.skip(f"no control groups of version 2 here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    said, left = (json.loads(line) for line in done.stdout.splitlines())
    assert said["joined"]
    assert said["killed"] >= 5
    assert said["left"] == []
    assert set(said["codes"]) == {-9}
    assert said["cpu"] >= 0
    assert left is False
