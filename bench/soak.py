"""`python -m bench.soak --launches 40 --kills 100 --seed N`: people launch, stop, start, destroy; parts are killed.

A whole portal of its own, with the demo people and the small module of the fault tests. Which part is killed, when, and
what each person does follows from the seed, which is printed; how far things have got at a kill does not. At the end
the same invariants as in tests/faults hold, seen from the outside: processes, folders, rows, state serials, audit and
pages. The memory of every process at rest is told before, after, and after further launches without any kill.
"""

import argparse
import random
import secrets
import signal
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.memory import command_of, memory_of
from tests.e2e.conftest import port_free
from tests.faults import invariants, processes
from tests.faults.portal_under_fault import Environment, PortalUnderFault
from tests.faults.processes import Process

PARTS = ("web", "worker", "beat", "agent")
OF_AN_ENVIRONMENT = ("terraform", "provider", "runner", "service", "shim")
VICTIMS = (*PARTS, *OF_AN_ENVIRONMENT, "supervisord", "valkey", "postgres")
PEOPLE = 4
# launch, stop, start, and what a person does at last
STEPS = 4
REST_S = 20.0
SETTLE_S = 240.0
CALM_LAUNCHES = 8


class Soak:
    """One run. `problems` holds what went wrong; empty is what is hoped for."""

    def __init__(self, portal: PortalUnderFault, *, launches: int, kills: int, seed: int, deadline: float) -> None:
        self.portal = portal
        self.random = random.Random(seed)  # noqa: S311 - what is wanted is that it repeats
        self.wishes = [self._wish(number) for number in range(launches)]
        self.kills = kills
        self.killer_random = random.Random(seed + 1)  # noqa: S311
        self.deadline = deadline
        self.lock = threading.Lock()
        self.steps_done = 0
        self.environments: list[Environment] = []
        self.killed: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.problems: list[str] = []
        self.ended = threading.Event()

    def _wish(self, number: int) -> dict[str, object]:
        knob = self.random.choice
        return {
            "name": f"soak {number}",
            "last": self.random.choices(("destroy", "stop", "leave"), (7, 2, 1))[0],
            "knobs": {"build_s": knob((0, 0, 1)), "health_s": knob((0, 1, 2)), "stop_s": knob((0, 0, 2))},
        }

    # -- people

    def run(self) -> None:
        """People and killer side by side; returns when all of them are done or the time is over."""
        steps = [threading.Thread(target=self._person, name=f"person-{n}", daemon=True) for n in range(PEOPLE)]
        killer = threading.Thread(target=self._kill_along, name="killer", daemon=True)
        for thread in [*steps, killer]:
            thread.start()
        for thread in [*steps, killer]:
            thread.join(max(0.1, self.deadline - time.monotonic()))
            if thread.is_alive():
                self.problems.append(f"{thread.name} was not done in time")
        self.ended.set()

    def _person(self) -> None:
        while not self.ended.is_set():
            with self.lock:
                if not self.wishes:
                    return
                wish = self.wishes.pop(0)
            try:
                self._live(wish)
            except Exception as error:
                self.problems.append(f"{wish['name']}: {error}\n{traceback.format_exc(limit=4)}")
            finally:
                print(f"  {wish['name']}: {wish['last']} ({sum(self.killed.values())} kills so far)", flush=True)

    def _live(self, wish: dict[str, object]) -> None:
        """A launch, a stop, a start, and an end; what fails on the way is tried again as the page offers."""
        environment = self.portal.launch(name=str(wish["name"]), **wish["knobs"])  # type: ignore[arg-type]
        with self.lock:
            self.environments.append(environment)
        self._until(environment, "running")
        self._step()
        for action, wanted in (("stop", "stopped"), ("start", "running")):
            self._until(environment, wanted, lambda action=action: self.portal.act(environment, action))
            self._step()
        if wish["last"] != "leave":
            wanted = "destroyed" if wish["last"] == "destroy" else "stopped"
            self._until(environment, wanted, lambda: self.portal.act(environment, str(wish["last"])))
        self._step()

    def _until(self, environment: Environment, wanted: str, act: Callable[[], object] | None = None) -> None:
        """Ask again, as a patient person does, until the environment is as it is wanted."""
        deadline = time.monotonic() + SETTLE_S
        if act:
            act()
        while (status := self.portal.settled(environment, seconds=SETTLE_S)) != wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"never {wanted}: {self.portal.story(environment)}")
            if status == "failed":
                self.outcomes[f"failed while {wanted} was wanted"] += 1
            (act or (lambda: self.portal.act(environment, "retry")))()
            time.sleep(0.5)
        self.outcomes[wanted] += 1

    def _step(self) -> None:
        with self.lock:
            self.steps_done += 1

    # -- the killer

    def _kill_along(self) -> None:
        """As many kills as steps are done in proportion, so that both end together."""
        total, done = STEPS * (len(self.wishes) + PEOPLE), 0
        while done < self.kills and not self.ended.is_set():
            with self.lock:
                everybody_done = not self.wishes and all(self._stands(item) for item in self.environments)
                due = self.kills * (self.steps_done + PEOPLE) / total
            if done >= due and not everybody_done:
                time.sleep(0.1)
                continue
            time.sleep(self.killer_random.uniform(0.2, 2.0))
            # The first that can be killed just now; Terraform does not always run.
            for name in (self.killer_random.choice(VICTIMS), self.killer_random.choice(PARTS)):
                if victim := self._victim(name):
                    victim.kill()
                    self.killed[name] += 1
                    done += 1
                    break

    def _stands(self, environment: Environment) -> bool:
        change = self.portal.change(environment)
        return change is None or change["status"] in ("applied", "failed", "cancelled")

    def _victim(self, name: str) -> Process | None:
        try:
            if name == "supervisord":
                return self.portal.supervisord()
            if name not in OF_AN_ENVIRONMENT:
                return self.portal.child(name)
        except (AssertionError, OSError, ValueError):
            return None
        found = [process for process in self.portal.everything() if IS[name](process)]
        return self.killer_random.choice(found) if found else None

    # -- the end

    def verify(self) -> None:
        """Every invariant of every environment, then each is destroyed and nothing is left."""
        self._noted("the portal", lambda: invariants.check_portal(self.portal, []))
        for environment in self.environments:
            self._noted(environment.name, lambda environment=environment: invariants.check(self.portal, environment))
        for environment in self.environments:
            self._noted(environment.name, lambda environment=environment: invariants.end(self.portal, environment))
        self._noted("the portal at the end", lambda: invariants.check_portal(self.portal, []))

    def _noted(self, what: str, check: Callable[[], object]) -> None:
        try:
            check()
        except AssertionError as error:
            self.problems.append(f"{what}: {error}")


def _words(process: Process) -> str:
    return " ".join(process.command)


IS: dict[str, Callable[[Process], bool]] = {
    "terraform": processes.is_terraform,
    "provider": processes.is_provider,
    "runner": lambda process: "stage_runner.py" in _words(process) and "bwrap" not in process.command[0],
    "service": lambda process: process.command[1:2] == ("server.py",),
    "shim": lambda process: "machine.shim" in _words(process),
}


def memory_at_rest(portal: PortalUnderFault) -> dict[str, float]:
    """MB of resident memory of each part, its children included, after a while of quiet."""
    time.sleep(REST_S)
    held: Counter[str] = Counter()
    everything = processes.processes_all()
    for name in (*PARTS, "mlflow", "postgres", "valkey"):
        top = portal.child(name)
        for process in [top, *processes.descendants(top.pid, everything)]:
            # The supervisor of services puts itself beside the agent, not below it.
            if "supervisord" not in command_of(process.pid):
                held[name] += memory_of(process.pid)[1]
    return dict(held)


def memory_print(columns: dict[str, dict[str, float]]) -> None:
    print(f"\n{'resident MB at rest':<22}" + "".join(f"{title:>26}" for title in columns))
    for name in next(iter(columns.values())):
        print(f"{name:<22}" + "".join(f"{column.get(name, 0):>26.0f}" for column in columns.values()))


def calm(portal: PortalUnderFault, launches: int) -> None:
    """Launches without a kill, which tell growth from the restarts of killed processes."""
    for number in range(launches):
        environment = portal.launched(name=f"calm {number}")
        portal.act(environment, "destroy")
        portal.settled(environment, "destroyed")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--launches", type=int, default=40)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--minutes", type=float, default=30.0, help="the run ends by then, with what is not done yet")
    asked = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    print(f"soak: {asked.launches} launches, {asked.kills} kills, --seed {seed}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    begun = time.monotonic()
    data = Path(tempfile.mkdtemp(prefix="slipway-soak-")) / "data"
    data.mkdir(mode=0o700)
    portal = PortalUnderFault(data, port_free())
    try:
        portal.wait_at_rest()
        calm(portal, 2)
        memory = {"before": memory_at_rest(portal)}
        deadline = time.monotonic() + asked.minutes * 60
        soak = Soak(portal, launches=asked.launches, kills=asked.kills, seed=seed, deadline=deadline)
        soak.run()
        print(f"kills: {dict(soak.killed)}\noutcomes: {dict(soak.outcomes)}", flush=True)
        soak.verify()
        memory["after the kills"] = memory_at_rest(portal)
        calm(portal, CALM_LAUNCHES)
        memory[f"after {CALM_LAUNCHES} calm launches"] = memory_at_rest(portal)
    finally:
        portal.close()
    memory_print(memory)
    for problem in soak.problems:
        print(f"\nFAULT {problem}")
    print(f"\nsoak: {len(soak.problems)} faults, {time.monotonic() - begun:.0f} s, --seed {seed}", flush=True)
    return 1 if soak.problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
