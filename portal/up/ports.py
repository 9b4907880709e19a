"""The portal's port: bound early, before anything slow, so that the address is known and stays."""

import errno
import socket
from dataclasses import dataclass

NEXT_TRIED = 100
BACKLOG = 1024
LOOPBACKS = {"127.0.0.1": "::1", "localhost": "::1"}


class AddressUnusable(Exception):
    """BIND names no address of this machine."""


@dataclass(frozen=True)
class PortalSockets:
    """Listening from the start: a browser that comes early, or while the web process restarts, waits for its answer."""

    port: int
    sockets: tuple[socket.socket, ...]

    def descriptors(self) -> list[int]:
        return [one.fileno() for one in self.sockets]

    def close(self) -> None:
        for one in self.sockets:
            one.close()


def portal_sockets_bind(bind: str, port: int) -> PortalSockets:
    """Binds the wanted port, else the next free one. On loopback both 127.0.0.1 and, where there is one, ::1.

    Raises AddressUnusable.
    """
    for candidate in [*range(port, min(port + NEXT_TRIED, 65536)), 0]:
        try:
            first = _bind(bind, candidate)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            raise AddressUnusable(f"BIND: {bind} is no address of this machine ({error.strerror}).") from None
        bound = int(first.getsockname()[1])
        if bind not in LOOPBACKS:
            return PortalSockets(bound, (first,))
        try:
            return PortalSockets(bound, (first, _bind(LOOPBACKS[bind], bound)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                first.close()
                continue
            return PortalSockets(bound, (first,))
    raise AddressUnusable("No free port was found; set PORT.")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((host, port))
        # Only listening makes it ours: two sockets that allow reuse may be bound to one port.
        bound.listen(BACKLOG)
    except OSError:
        bound.close()
        raise
    return bound
