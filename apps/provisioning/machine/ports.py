"""Loopback ports for services: kept per service while free, taken from below the kernel's range for connections."""

import random
import socket

from .entry import SERVICE_PORTS
from .errors import MachineError

_random = random.SystemRandom()


def port_free(port: int) -> bool:
    """Whether a service could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_allocate(taken: set[int], *, preferred: int | None = None) -> int:
    """`preferred` while it is free, else a free port that no other service of the machine has recorded."""
    if preferred and preferred not in taken and port_free(preferred):
        return preferred
    for _attempt in range(500):
        port = _random.choice(SERVICE_PORTS)
        if port not in taken and port_free(port):
            return port
    raise MachineError("No loopback port is free for another service.", code="machine:no-port")
