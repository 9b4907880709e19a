"""A machine in a process of its own: `python -m tests.isolation.machine_process <root> '<options>'`.

Beside it, as the portal would be, a process with a secret in its environment, of the same user. Prints one line of JSON
when it serves, ends when its standard input does.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from apps.provisioning.machine import Machine, launching, limits

PORTAL = ["/bin/sleep", "1000"]


def main(root: str, options: str) -> None:
    given = json.loads(options)
    launching.PROCESSES_MAX = given.pop("processes", launching.PROCESSES_MAX)
    limits.PROCESSES_MAX = launching.PROCESSES_MAX
    folder = Path(root)
    machine = Machine(folder / "agent", socket_path=folder / "run" / "agent.sock", **given)
    machine.start()
    with subprocess.Popen(PORTAL, env={"SECRET_KEY": os.environ["CANARY"]}, start_new_session=True) as portal:
        said = {"isolation": machine.isolation, "limits": machine.limits, "portal": portal.pid, "uid": os.getuid()}
        print(json.dumps(said), flush=True)
        sys.stdin.read()
        portal.kill()
    machine.close()
    machine.stop_services("The test is over")


if __name__ == "__main__":
    main(*sys.argv[1:])
