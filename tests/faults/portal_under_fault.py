"""One whole portal, its people and its processes, for tests that break parts of it and look at it from the outside.

Typical use:

    environment = broken.launch(health_s=3)
    broken.wait_phase(environment, "applying")
    broken.terraform(environment).kill()
    broken.settled(environment)
    invariants.check(broken, environment)
"""

import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.e2e.conftest import ROOT, Portal, portal_start
from tests.faults import processes
from tests.faults.processes import Process

MODULE = Path(__file__).parent / "modules" / "quick"
POLL = 0.01
ACTIVE = ("queued", "planning", "planned", "awaiting_approval", "applying")
SETTLED = ("running", "stopped", "failed", "destroyed", "awaiting_approval")
CHILDREN = ("web", "worker", "beat", "agent", "mlflow")


@dataclass
class Environment:
    """An environment as its owner knows it, and what the test has asked of it: (action) for each accepted request."""

    id: str
    name: str
    owner: str
    asked: list[str] = field(default_factory=list)


class PortalUnderFault:
    """A portal with demo people, the module `quick`, and the means to watch and to kill each of its parts."""

    def __init__(self, data: Path, port: int) -> None:
        self.data = data
        self.port = port
        self.portal: Portal = portal_start(data, port, experiments=False)
        self.tokens: dict[str, str] = {}
        self._sql: psycopg.Connection[Any] | None = None
        self._people: dict[str, urllib.request.OpenerDirector] = {}
        try:
            self.register(MODULE)
        except BaseException:
            self.close()
            raise

    # -- the portal itself

    @property
    def agent_root(self) -> Path:
        return self.data / "agent"

    def register(self, module: Path) -> None:
        """Publish a module directory. The modules of the demo are being published meanwhile, which is waited for."""
        command = [sys.executable, "manage.py", "register_module", str(module)]
        done = subprocess.run(command, cwd=ROOT, env=self.portal.environ(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def start_again(self) -> None:
        """After the whole portal was killed: `make up` once more on the same folder and port."""
        if self._sql is not None:
            self._sql.close()
            self._sql = None
        self._people.clear()
        self.portal = portal_start(self.data, self.port, experiments=False)

    def kill_everything(self, *, services: bool = True) -> None:
        """SIGKILL to `manage.py up` and its children; with `services` to Terraform, supervisord and services, too."""
        assert self.portal.process is not None
        victims = processes.of_folder(self.data)
        if not services:
            names = (*CHILDREN, "up")
            kept = [processes.recorded(self.data / "run" / f"{name}.json") for name in names]
            roots = {victim.pid for victim in kept if victim}
            victims = [victim for victim in victims if victim.pid in roots]
        # The supervisor first, so that it starts nothing again.
        os.kill(self.portal.process.pid, 9)
        for victim in victims:
            victim.kill()
        self.portal.process.wait(10)
        for victim in victims:
            victim.wait_gone()

    def log_tail(self, name: str, lines: int = 30) -> str:
        path = self.data / "logs" / f"{name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    def wait_at_rest(self) -> None:
        """The demo is filled in the background after the page is up and the people are there."""
        wait((self.data / "done" / "seed").exists, 90, "the demo workspace is filled")

    # -- people

    def call(
        self, method: str, path: str, body: object = None, *, who: str = "dana", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """One API request as a person. Raises OSError where the web process is gone."""
        if who not in self.tokens:
            self.tokens[who] = self.portal.token(who)
        return self.portal.call(method, f"api/v1/{path}", body, self.tokens[who], **headers)

    def call_surely(
        self, method: str, path: str, body: object = None, *, who: str = "dana", seconds: float = 40, key: str = ""
    ) -> Any:
        """The same until the portal answers, as a person does whose page would not load. `key`: Idempotency-Key."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                status, answer = self.call(method, path, body, who=who, **({"Idempotency-Key": key} if key else {}))
            except OSError:
                status, answer = 0, {}
            if status and status < 500:
                return status, answer
            assert time.monotonic() < deadline, f"{method} {path}: {status} {answer}"
            time.sleep(0.2)

    def launch(self, *, name: str = "", who: str = "dana", team: str = "vision", **knobs: Any) -> Environment:
        """Asks for a launch of the module `quick`; returns at once. Knobs are its variables."""
        name = name or f"fault {uuid.uuid4().hex[:8]}"
        inputs = {"python": os.path.realpath(sys._base_executable), **knobs}  # type: ignore[attr-defined]
        body = {"name": name, "team": team, "module": "quick", "inputs": inputs}
        status, answer = self.call_surely("POST", "environments/", body, who=who, key=uuid.uuid4().hex)
        assert status == 201, answer
        return Environment(answer["id"], name, who, ["create"])

    def launched(self, **knobs: Any) -> Environment:
        """An environment that runs."""
        environment = self.launch(**knobs)
        self.settled(environment, "running")
        return environment

    def act(self, environment: Environment, action: str, **body: Any) -> tuple[int, dict[str, Any]]:
        """stop, start, retry, refresh or destroy through the API; notes what was accepted."""
        if action == "destroy":
            body = {"confirm": environment.name, **body}
        before = self.last_change(environment)
        status, answer = self.call_surely(
            "POST", f"environments/{environment.id}/{action}/", body, who=environment.owner
        )
        if status == 200 and self.last_change(environment) != before:
            environment.asked.append(action)
        return status, answer

    def update(self, environment: Environment, **inputs: Any) -> None:
        status, answer = self.call_surely(
            "PATCH", f"environments/{environment.id}/", {"inputs": inputs}, who=environment.owner
        )
        assert status == 200, answer
        environment.asked.append("update")

    def read(self, environment: Environment) -> dict[str, Any]:
        status, answer = self.call_surely("GET", f"environments/{environment.id}/", who=environment.owner)
        assert status == 200, answer
        return answer

    def page(self, path: str, *, who: str = "dana", data: dict[str, str] | None = None) -> str:
        """A page as a signed-in person's browser gets it; with `data` a form is posted. Waits while web is away."""
        return wait_for(lambda: self._page(path, who, data), 40, f"the page {path}")

    def _page(self, path: str, who: str, data: dict[str, str] | None) -> str:
        if who not in self._people:
            jar = http.cookiejar.CookieJar()
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
            form = _text(opener.open(self.portal.url + "accounts/sign-in/", timeout=20))
            fields = {"csrfmiddlewaretoken": csrf(form), "username": who, "password": self.portal.password}
            opener.open(self.portal.url + "accounts/sign-in/", urllib.parse.urlencode(fields).encode(), timeout=20)
            self._people[who] = opener
        sent = urllib.parse.urlencode(data).encode() if data is not None else None
        return _text(self._people[who].open(self.portal.url + path.lstrip("/"), sent, timeout=20))

    # -- rows

    def rows(self, query: str, *arguments: Any, seconds: float = 30) -> list[dict[str, Any]]:
        """Rows over SQL, outside Django. Asked again on a new connection while PostgreSQL is away."""
        deadline = time.monotonic() + seconds
        while True:
            connection = self._sql
            try:
                if connection is None:
                    shared = json.loads((self.data / "run" / "environment.json").read_text())
                    connection = psycopg.connect(shared["DATABASE_URL"], autocommit=True, row_factory=dict_row)
                    self._sql = connection
                return connection.execute(query, arguments).fetchall()
            except psycopg.OperationalError:
                self._sql = None
                if connection is not None:
                    connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def row(self, query: str, *arguments: Any) -> dict[str, Any] | None:
        return next(iter(self.rows(query, *arguments)), None)

    def last_change(self, environment: Environment) -> str | None:
        change = self.change(environment)
        return str(change["id"]) if change else None

    def change(self, environment: Environment) -> dict[str, Any] | None:
        """The newest change."""
        return self.row(
            "SELECT * FROM provisioning_change WHERE workspace_id = %s ORDER BY created_at DESC LIMIT 1", environment.id
        )

    def status(self, environment: Environment) -> str:
        found = self.row("SELECT status FROM environments_environment WHERE id = %s", environment.id)
        assert found, environment
        return str(found["status"])

    # -- waiting

    def wait_phase(
        self, environment: Environment, *statuses: str, kind: str = "", seconds: float = 60
    ) -> dict[str, Any]:
        """Until the newest change (of that kind) has one of the statuses; looked at every 10 ms."""

        def reached() -> dict[str, Any] | None:
            change = self.change(environment)
            right = change and change["status"] in statuses and kind in ("", change["kind"])
            return change if right else None

        return wait_for(reached, seconds, f"a change of {environment.name} is {' or '.join(statuses)}", self)

    def wait_log(self, environment: Environment, resource: str, seconds: float = 60) -> None:
        """Until Terraform has begun with a resource, told by its own log in the apply stage's folder."""

        def begun() -> bool:
            for log in self.stages(environment, "apply"):
                lines = (log / "log.jsonl").read_text(errors="replace") if (log / "log.jsonl").exists() else ""
                if any('"apply_start"' in line and resource in line for line in lines.splitlines()):
                    return True
            return False

        wait(begun, seconds, f"Terraform works on {resource} of {environment.name}", self)

    def wait_exit(self, environment: Environment, phase: str, name: str = "exit", seconds: float = 60) -> None:
        """Until the newest stage of that phase has left its exit file, or that of a command (`*-plan.exit`)."""
        wait(
            lambda: any(list(stage.glob(name)) for stage in self.stages(environment, phase)[-1:]),
            seconds, f"the {phase} of {environment.name} has ended", self,
        )  # fmt: skip

    def settled(self, environment: Environment, *wanted: str, seconds: float = 90) -> str:
        """Until no change is active and the environment stands still; its status, one of `wanted` where given."""
        deadline = time.monotonic() + seconds
        while True:
            change = self.change(environment)
            status = self.status(environment)
            waits = change is None or change["status"] not in ACTIVE or change["status"] == "awaiting_approval"
            if waits and status in SETTLED:
                assert not wanted or status in wanted, self.story(environment)
                return status
            assert time.monotonic() < deadline, "stuck: " + self.story(environment)
            time.sleep(0.05)

    def story(self, environment: Environment) -> str:
        """All that explains a failed expectation."""
        shown = self.row(
            "SELECT status, failure, status_reason, desired_running FROM environments_environment WHERE id = %s",
            environment.id,
        )
        changes = self.rows(
            "SELECT kind, status, step, fence, failure_code, failure_summary, failure_detail FROM provisioning_change"
            " WHERE workspace_id = %s ORDER BY created_at",
            environment.id,
        )
        return "\n".join(map(str, [environment, shown, *changes, self.log_tail("agent", 25)]))

    # -- processes

    def child(self, name: str) -> Process:
        """web, worker, beat, agent, mlflow, postgres or valkey, as `manage.py up` recorded it."""
        if name == "postgres":
            pid = int((self.data / "postgres" / "data" / "postmaster.pid").read_text().split()[0])
            found = processes.process_at(pid)
        else:
            folder, file = ("valkey", "process") if name == "valkey" else ("run", name)
            found = processes.recorded(self.data / folder / f"{file}.json")
        assert found, f"{name} does not run"
        return found

    def child_wait(self, name: str, *, other_than: Process | None = None, seconds: float = 60) -> Process:
        """The child once it runs (again)."""

        def there() -> Process | None:
            found = processes.recorded(self.data / "run" / f"{name}.json")
            return found if found and (other_than is None or found.pid != other_than.pid) else None

        return wait_for(there, seconds, f"{name} runs again", self)

    def stages(self, environment: Environment, phase: str) -> list[Path]:
        """The stage folders of the newest change, oldest first."""
        change = self.change(environment)
        folder = self.agent_root / "workspaces" / environment.id / "changes" / str(change["id"] if change else "")
        found = [path for path in folder.glob(f"{phase}*") if path.is_dir()]
        return sorted(found, key=lambda path: int(path.name.partition("-")[2] or 1))

    def runner(self, environment: Environment, seconds: float = 20) -> Process:
        """The detached runner of the stage that is going on, waited for."""
        return wait_for(lambda: self._runner(environment), seconds, "a stage runs", self)

    def _runner(self, environment: Environment) -> Process | None:
        for phase in ("apply", "plan"):
            for stage in reversed(self.stages(environment, phase)):
                try:
                    told = json.loads((stage / "pid").read_text())
                except (OSError, ValueError):
                    continue
                found = processes.process_at(told["pid"]) if told["pid"] else None
                if found and found.started == told["start_time"] and found.state != "Z":
                    return found
        return None

    def terraform(self, environment: Environment, seconds: float = 20) -> Process:
        """Terraform's process of the stage that is going on, waited for."""
        return wait_for(
            lambda: self._below_runner(environment, processes.is_terraform), seconds, "Terraform runs", self
        )

    def provider(self, environment: Environment, seconds: float = 20) -> Process:
        return wait_for(
            lambda: self._below_runner(environment, processes.is_provider), seconds, "the provider runs", self
        )

    def _below_runner(self, environment: Environment, wanted: Callable[[Process], bool]) -> Process | None:
        runner = self._runner(environment)
        return next(filter(wanted, processes.descendants(runner.pid)), None) if runner else None

    def service(self, environment: Environment, seconds: float = 20) -> Process:
        """The server that the person's environment is, waited for: the innermost process of the service."""
        return wait_for(lambda: next(iter(self.services(environment)), None), seconds, "the service runs", self)

    def services(self, environment: Environment) -> list[Process]:
        """Every process that serves for the environment; more than one is a fault."""
        marker = f"{environment.id}/app"
        return [
            process
            for process in processes.processes_all()
            if process.command[1:2] == ("server.py",)
            and processes.environ_of(process.pid).get("SLIPWAY_SERVICE_ID") == marker
        ]

    def supervisord(self) -> Process:
        pid = int((self.agent_root / "supervisor" / "supervisord.pid").read_text())
        found = processes.process_at(pid)
        assert found
        return found

    @contextmanager
    def frozen(self, *victims: Process) -> Iterator[None]:
        """SIGSTOP to the processes for the time of the block, which is how a narrow moment is held open."""
        for victim in victims:
            victim.kill(19)
        try:
            yield
        finally:
            for victim in victims:
                victim.kill(18)

    def everything(self) -> list[Process]:
        return processes.of_folder(self.data)

    def close(self) -> None:
        """Ends the portal in order, then whatever a failed test left, then the folder."""
        if self._sql is not None:
            self._sql.close()
        process = self.portal.process
        assert process is not None
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
        left = self.everything()
        for victim in left:
            victim.kill()
        shutil.rmtree(self.data.parent, ignore_errors=True)


def wait(condition: Callable[[], Any], seconds: float, what: str, portal: PortalUnderFault | None = None) -> None:
    wait_for(lambda: condition() or None, seconds, what, portal)


def wait_for(look: Callable[[], Any], seconds: float, what: str, portal: PortalUnderFault | None = None) -> Any:
    """What `look` returns as soon as it is not None; a portal that does not answer just then is asked again."""
    deadline, problem = time.monotonic() + seconds, None
    while True:
        try:
            if (found := look()) is not None:
                return found
        except OSError as error:
            problem = error
        tail = f"\n{portal.log_tail('agent')}" if portal and time.monotonic() > deadline else ""
        assert time.monotonic() < deadline, f"not within {seconds} s: {what} ({problem}){tail}"
        time.sleep(POLL)


def csrf(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page[:2000]
    return found[1]


def _text(response: Any) -> str:
    with response:
        return str(response.read().decode())
