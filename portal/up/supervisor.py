"""Starting everything in the order that gives a usable page first, watching it, and ending it in order."""

import http.client
import signal
import time
from types import FrameType
from typing import NoReturn
from urllib.parse import urlsplit

from portal.up import children
from portal.up.child import Child, ending
from portal.up.jobs import Jobs
from portal.up.lock import UpLock
from portal.up.migrations import Migrations
from portal.up.options import UpOptions
from portal.up.output import plain, say
from portal.up.parent import CallingMake
from portal.up.places import Places
from portal.up.ports import PortalSockets
from portal.up.postgres import ServiceFailed
from portal.up.process import log_rotate, log_tail
from portal.up.running import addresses_publish
from portal.up.services import Services
from portal.up.summary import summary

POLL = 0.1
WEB_SECONDS = 90
ROTATE_SECONDS = 60
# Everything a killed supervisor may have left, in the order in which it is ended.
NAMES = ("agent", "beat", "worker", "web", "mlflow", "modules", "seed", "migrate")


class StopRequested(Exception):
    """Somebody wants the portal to end, perhaps in the middle of its start."""


class Supervisor:
    """`run()` returns the exit code; whatever happens, what was started has ended when it returns."""

    def __init__(self, options: UpOptions, places: Places, sockets: PortalSockets, lock: UpLock) -> None:
        self.options = options
        self.places = places
        self.sockets = sockets
        self.lock = lock
        self.make = CallingMake()
        self.environ = children.environ_base(options, places, sockets.port)
        self.url = self.environ["PORTAL_URL"] + "/"
        self.services = Services(options, places, self.environ)
        self.jobs = Jobs(options, places, self.environ)
        self.children: dict[str, Child] = {}
        self.requests = 0
        self.rotate_at = 0.0

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under nohup a hang-up is ignored, and stays so.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._requested)
        try:
            self.lock.publish(state="starting", url=self.url)
            self._start()
            self.lock.publish(state="running", url=self.url)
            self._watch()
        except StopRequested:
            return 0
        except ServiceFailed as error:
            say(f"The portal cannot go on. {error}")
            return 1
        finally:
            self._stop()

    # -- starting: the page first; what it does not need follows

    def _start(self) -> None:
        for name in NAMES:
            if self._child(name).leftover_end():
                say(f"Ended the {name} process that an earlier run left")
        self.services.start()
        addresses_publish(self.places.run, self.environ)
        self._tick()
        self._migrate()
        self._child_start(children.web(self.places, self.environ, self.sockets.descriptors()))
        self._page_await()
        say(f"The page answers at {self.url}")
        self._child_start(children.agent(self.places, self.environ))
        self._child_start(children.worker(self.places, self.environ))
        self._child_start(children.beat(self.places, self.environ))
        mlflow = self.services.mlflow()
        if mlflow:
            self._child_start(mlflow)

    def _child(self, name: str) -> Child:
        """A child only by name, to look for what is left of it."""
        return Child(
            name,
            [],
            self.places,
            {},
            self.places.data,
            whole_session=name != "agent",
            death_signal=signal.SIGKILL if name == "agent" else signal.SIGTERM,
        )

    def _child_start(self, child: Child) -> None:
        self._tick()
        self.children[child.name] = child
        child.start()

    def _migrate(self) -> None:
        """Raises ServiceFailed with the end of the log when the migrations do not apply."""
        migrations = Migrations(self.services.postgres, self.environ["DATABASE_URL"])
        if migrations.applied():
            return
        child = children.migrate(self.places, self.environ)
        self._child_start(child)
        while child.running():
            self._tick()
        del self.children[child.name]
        child.record.unlink(missing_ok=True)
        if child.process is None or child.process.returncode:
            raise ServiceFailed(
                f"The database could not be migrated ({child.log}):\n" + "\n".join(log_tail(child.log, 12))
            )
        migrations.remember()
        say("The database is migrated")

    def _page_await(self) -> None:
        deadline = time.monotonic() + WEB_SECONDS
        web = self.children["web"]
        while not page_answers(self.sockets.port, self.options.bind, self.url):
            self._tick()
            if not web.running():
                code = web.process.returncode if web.process else 0
                raise ServiceFailed(f"web {ending(code)} ({web.log}):\n" + "\n".join(log_tail(web.log, 12)))
            if time.monotonic() > deadline:
                raise ServiceFailed(f"The page did not answer within {WEB_SECONDS} s; see {web.log}.")

    # -- watching

    def _watch(self) -> NoReturn:
        told = False
        while True:
            self._tick()
            self.services.watch()
            self.jobs.watch()
            self._logs_rotate()
            for child in self.children.values():
                child.watch()
            if not told and self._people_known():
                plain(summary(self.options, self.places, self.url, self.sockets.port))
                told = True

    def _logs_rotate(self) -> None:
        """Now and then: a process that runs for months must not fill the disk with its log."""
        if time.monotonic() < self.rotate_at:
            return
        self.rotate_at = time.monotonic() + ROTATE_SECONDS
        for log in self.places.logs.glob("*.log"):
            if not log.name.endswith(".old.log"):
                log_rotate(log)

    def _people_known(self) -> bool:
        """Whether the password of the demo people exists, or will not come any more."""
        return not self.jobs.pending("seed") or (self.places.data / "password").exists()

    def _tick(self) -> None:
        time.sleep(POLL)
        if self.requests == 0 and self.make.told_to_end():
            self.requests = 1
        if self.requests:
            raise StopRequested

    def _requested(self, number: int, frame: FrameType | None) -> None:
        self.requests += 1

    # -- ending: the agent first, because it tells services why; the databases last, because everything writes to them

    def _stop(self) -> None:
        self.lock.publish(state="stopping", url=self.url)
        say("Ending: the agent stops services and changes first (Ctrl-C again to hurry)")
        if self.jobs.current:
            self.children["job"] = self.jobs.current.child
        for group in (("agent", "beat", "job", "migrate"), ("web", "worker", "mlflow")):
            self._children_end([self.children[name] for name in group if name in self.children])
        self.sockets.close()
        self.services.stop()
        say("Everything has ended")

    def _children_end(self, group: list[Child]) -> None:
        started = time.monotonic()
        requests = self.requests
        for child in group:
            child.signal(signal.SIGTERM)
        for child in group:
            while child.running() and time.monotonic() < started + child.grace and self.requests <= max(requests, 1):
                time.sleep(POLL)
            if not child.finish(time.monotonic() + 0.05):
                say(f"{child.name} did not end in time and was killed ({child.log})")


def page_answers(port: int, bind: str, url: str) -> bool:
    """Whether the web process answers at all; what it says is for `/readyz` and its log to explain."""
    host = {"0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}.get(bind, bind)  # noqa: S104 - compared
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        # A host that the settings allow.
        connection.request("GET", "/healthz", headers={"Host": urlsplit(url).netloc})
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
