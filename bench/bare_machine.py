"""`python -m bench.bare_machine <root>`: the machine half of an agent alone, for Terraform run by hand.

It offers the socket that the local provider wants and supervises services exactly as the portal's agent does, without
the portal, its database or its queue. SIGTERM ends its services and then itself.
"""

import signal
import sys
import threading
from pathlib import Path

from apps.provisioning.machine import Machine


def main(root: Path) -> None:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    machine = Machine(root, socket_path=root / "s")
    machine.start()
    (root / "ready").touch()
    ended.wait()
    machine.stop_services("The measurement is over")
    machine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
