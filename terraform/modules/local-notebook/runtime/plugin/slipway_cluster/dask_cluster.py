"""A Dask cluster as one service: `python -m slipway_cluster.dask_cluster --help`.

The scheduler lives in this process, each worker in a process of its own that is started again when it dies. Between
workers_minimum and workers_maximum Dask adapts to what waits to be computed. Scheduler, workers and clients speak TLS
and show each other certificates of this cluster's own authority; the dashboard stands behind `door`.
"""

import argparse
import asyncio
import ctypes
import logging
import os
import platform
import signal
import sys
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import dask
from distributed import Nanny, Scheduler, Security, SpecCluster

from slipway_cluster.certificates import Authority
from slipway_cluster.door import Door, own_pages

log = logging.getLogger("slipway.dask")

CLIENT_LASTS = timedelta(days=1)
# What client and workers must agree on: they exchange pickled code and data.
AGREE = ("dask", "distributed", "cloudpickle", "msgpack")
LOOK_SECONDS = 1.0
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Size:
    """How many workers of which size, and after how many idle seconds one of them goes."""

    minimum: int
    maximum: int
    cores: int
    memory_mb: int
    idle_s: int


def size_read(arguments: list[str]) -> Size:
    parser = argparse.ArgumentParser(description="A Dask cluster behind one door.")
    for name, words in (
        ("minimum", "workers that are always there"),
        ("maximum", "workers at most"),
        ("cores", "threads of a worker"),
        ("memory-mb", "memory of a worker"),
        ("idle-s", "seconds after which a worker that is not needed ends"),
    ):
        parser.add_argument(f"--{name}", type=int, required=True, help=words)
    given = parser.parse_args(arguments)
    return Size(given.minimum, max(given.minimum, given.maximum, 1), given.cores, given.memory_mb, given.idle_s)


def configure() -> None:
    """Before anything of Dask is made: what it must not do on a machine that others share."""
    dask.config.set(
        {
            # Each worker and its keeper would open a web page of their own, on loopback and without a door.
            "distributed.worker.http.routes": [],
            "distributed.nanny.http.routes": [],
            "distributed.admin.system-monitor.gil.enabled": False,
            "distributed.comm.require-encryption": True,
            "distributed.version-check": False,
            # Data that does not fit is put on disk below TMPDIR, which is emptied with every start.
            "temporary-directory": os.environ.get("TMPDIR") or None,
        }
    )


def privacy() -> None:
    """Code of people runs in the workers as the same system user: this process' memory is not theirs to read."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def versions() -> dict[str, str]:
    """Of everything a client has to agree with, by package name; and of Python."""
    found = {"python": platform.python_version()}
    for name in AGREE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


class DoorScheduler(Scheduler):
    """A scheduler whose web server is behind the door from the moment on in which it listens."""

    def __init__(self, *args: Any, door: Any = None, **options: Any) -> None:
        self._door = door
        super().__init__(*args, **options)

    def start_http_server(self, *args: Any, **options: Any) -> None:
        super().start_http_server(*args, **options)
        self.http_server.request_callback = self._door(self.http_application)


class Cluster:
    """The cluster of this process: its authority, its scheduler and its workers."""

    def __init__(self, size: Size, *, name: str, port: int, secret: str) -> None:
        self.size = size
        self.name = name
        self.authority = Authority(name)
        self.security = self._security()
        own = own_pages(self.health, self.connect)
        self.spec = SpecCluster(
            name=name,
            asynchronous=True,
            security=self.security,
            scheduler={
                "cls": DoorScheduler,
                "options": {
                    "protocol": "tls",
                    "host": "127.0.0.1",
                    "port": 0,
                    "security": self.security,
                    "dashboard": True,
                    "dashboard_address": f"127.0.0.1:{port}",
                    "door": lambda dashboard: Door(dashboard, secret=secret, own=own),
                },
            },
            worker={
                "cls": Nanny,
                "options": {
                    "protocol": "tls",
                    "host": "127.0.0.1",
                    "security": self.security,
                    "nthreads": size.cores,
                    "memory_limit": size.memory_mb * 1024 * 1024,
                    "dashboard": False,
                },
            },
        )

    def _security(self) -> Security:
        scheduler, worker, client = (
            self.authority.issue(f"{self.name} {part}") for part in ("scheduler", "worker", "")
        )
        return Security(
            require_encryption=True,
            tls_ca_file=self.authority.certificate,
            tls_scheduler_cert=scheduler.certificate,
            tls_scheduler_key=scheduler.key,
            tls_worker_cert=worker.certificate,
            tls_worker_key=worker.key,
            tls_client_cert=client.certificate,
            tls_client_key=client.key,
        )

    async def run(self, ended: asyncio.Event) -> None:
        async with self.spec:
            # Adapts only once the first workers are there: it would take them for superfluous and end them.
            self.spec.scale(self.size.minimum)
            checks = max(1, round(self.size.idle_s / LOOK_SECONDS))
            self.spec.adapt(
                minimum=self.size.minimum,
                maximum=self.size.maximum,
                interval=f"{LOOK_SECONDS}s",
                wait_count=checks,
                target_duration="5s",
            )
            log.info("scheduler at %s, %s to %s workers", self.address, self.size.minimum, self.size.maximum)
            await ended.wait()
            log.info("stopping")

    @property
    def address(self) -> str:
        return str(self.spec.scheduler_address)

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Well once the scheduler listens and as many workers as there should always be are connected."""
        scheduler = self.spec.scheduler
        workers = len(scheduler.workers) if scheduler is not None else 0
        well = scheduler is not None and workers >= self.size.minimum
        return well, {"workers": workers, "minimum": self.size.minimum, "maximum": self.size.maximum}

    def connect(self, who: str) -> dict[str, Any]:
        """What a client needs; the certificate is its own and ends after a day. A connection that stands stays."""
        pair = self.authority.issue(who, CLIENT_LASTS)
        return {
            "kind": "dask",
            "address": self.address,
            "versions": versions(),
            "expires_at": pair.expires_at.isoformat(timespec="seconds"),
            "tls": {"ca": self.authority.certificate, "certificate": pair.certificate, "key": pair.key},
            **self.health()[1],
        }


async def serve(size: Size) -> None:
    # Workers inherit the environment: the door's secret is not for the code that runs there.
    secret = os.environ.pop("SLIPWAY_SECRET")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    name = os.environ.get("SLIPWAY_ENVIRONMENT") or "cluster"
    await Cluster(size, name=name, port=int(os.environ["SLIPWAY_PORT"]), secret=secret).run(ended)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stdout)
    size = size_read(sys.argv[1:])
    privacy()
    configure()
    asyncio.run(serve(size))


if __name__ == "__main__":
    main()
