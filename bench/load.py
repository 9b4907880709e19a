"""Clients of the portal's pages: people who look at one page after another, each over one connection kept open."""

import http.client
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

THINK_S = (0.5, 1.5)


@dataclass(frozen=True)
class Page:
    """One request of somebody: `who` is the role that asks, `headers` its session or token."""

    who: str
    label: str
    path: str
    headers: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.label} ({self.who})"


@dataclass
class Taken:
    """Seconds from the first byte sent to the last received, by page; and what was not answered with 200."""

    times: dict[str, list[float]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def add(self, page: Page, seconds: float, status: int) -> None:
        if status == 200:
            self.times.setdefault(page.name, []).append(seconds)
        else:
            self.wrong.append(f"{page.path} as {page.who}: {status}")

    @property
    def all(self) -> list[float]:
        return [seconds for times in self.times.values() for seconds in times]


class Client:
    """One browser or script."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def get(self, page: Page) -> tuple[float, int]:
        started = time.perf_counter()
        self.connection.request("GET", page.path, headers={"Host": f"localhost:{self.port}", **page.headers})
        answer = self.connection.getresponse()
        answer.read()
        return time.perf_counter() - started, answer.status


def one_by_one(port: int, pages: list[Page], rounds: int) -> Taken:
    """Every page by itself, with nobody else asking."""
    taken, client = Taken(), Client(port)
    for page in pages:
        client.get(page)
        for _ in range(rounds):
            taken.add(page, *client.get(page))
    return taken


def together(port: int, pages: list[Page], *, clients: int, seconds: float, think: bool) -> Taken:
    """Many at once for so long: with `think` they pause as people do, without they ask as fast as they are answered."""
    taken, lock, until = Taken(), threading.Lock(), time.monotonic() + seconds

    def live(seed: int) -> None:
        chance, client = random.Random(seed), Client(port)  # noqa: S311 - a repeatable walk
        if think:
            time.sleep(chance.uniform(0, THINK_S[1]))
        while time.monotonic() < until:
            page = chance.choice(pages)
            seconds, status = client.get(page)
            with lock:
                taken.add(page, seconds, status)
            if think:
                time.sleep(chance.uniform(*THINK_S))

    _threads([lambda seed=seed: live(seed) for seed in range(clients)])  # type: ignore[misc]
    return taken


def _threads(works: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
