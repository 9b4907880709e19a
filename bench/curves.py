"""Metric curves of twenty runs of a thousand points in Chromium, from the request to the drawing, beside MLflow."""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from bench.figures import Figure, limited, median
from bench.processes import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from bench.portal import Portal
    from bench.session import Session

RUNS, POINTS, BATCH = 20, 1000, 1000
LIMIT_MS = 500.0
BEGAN_MS = 1_790_000_000_000
# Written by the script of the curves once every point is on the canvas.
DRAWN = """async () => {
  for (let turn = 0; turn < 1500; turn += 1) {
    const looks = performance.getEntriesByName("slipway:curves");
    const all = looks.find((one) => one.detail.complete);
    if (all) return [all.duration, all.startTime + all.duration, all.detail.points, looks[0].duration];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return null;
}"""


def measure(session: Session) -> list[Figure]:
    """Each metric's first look is MLflow's to read; what follows comes from what the portal has kept."""
    metrics = [f"curve{number}" for number in range(2 if session.quick else 8)]
    experiment, runs = curves_log(session, metrics)
    first: list[float] = []
    looks: list[float] = []
    again: list[float] = []
    opened: list[float] = []
    bare = [1000 * mlflow_seconds(session.portal, runs, metric) for metric in metrics for _ in range(2)]
    with chromium_page(session.portal) as page:
        draw(page, session.portal, experiment, "warm-up", metrics[:1])
        for metric in metrics[1:]:
            asked, _, look = draw(page, session.portal, experiment, "first", [metric])
            first.append(asked)
            looks.append(look)
            for _ in range(3):
                asked, since_opening, _ = draw(page, session.portal, experiment, "again", [metric])
                again.append(asked)
                opened.append(since_opening)
    session.say(f"first {sorted(round(one) for one in first)}, again {sorted(round(one) for one in again)} ms")
    what = f"Curves of {RUNS} runs × {POINTS:,} points, request to drawn"
    beside = "MLflow's REST answer alone"
    read = median(first)
    return [
        Figure(
            "curves", f"{what}, never asked before, median", read, "ms", median(bare), beside,
            f"under {LIMIT_MS:g} ms", read < LIMIT_MS,
        ),
        Figure("curves", "The same, a first look at a tenth of the points, median", median(looks), "ms"),
        limited("curves", f"{what}, again, median", median(again), "ms", LIMIT_MS),
        Figure("curves", "The same, from opening the page, median", median(opened), "ms"),
    ]  # fmt: skip


def curves_log(session: Session, metrics: list[str]) -> tuple[str, list[str]]:
    """An experiment's id and its runs, ended and known to the index."""
    ask = Tracker(session.portal, session.token("dana"))
    experiment = ask("experiments/create", {"name": f"vision/curves-{time.time_ns()}"})["experiment_id"]
    noise = random.Random(7)  # noqa: S311 - the same curves in every run
    runs = []
    for number in range(RUNS):
        started = {"experiment_id": experiment, "run_name": f"run-{number}", "start_time": BEGAN_MS}
        run_id = ask("runs/create", started)["run"]["info"]["run_id"]
        runs.append(run_id)
        rows = [
            {
                "key": metric,
                "value": 2 * math.exp(-step / (100 + 10 * number)) + noise.gauss(0, 0.01),
                "timestamp": BEGAN_MS + step * 1000,
                "step": step,
            }
            for metric in metrics
            for step in range(POINTS)
        ]
        for begin in range(0, len(rows), BATCH):
            ask("runs/log-batch", {"run_id": run_id, "metrics": rows[begin : begin + BATCH]})
        ask("runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": BEGAN_MS + POINTS * 1000})
    cookie = {"Cookie": session.portal.session("dana")}
    path = f"/experiments/{experiment}/charts/values/?column=metrics.{metrics[-1]}"
    wait_until(lambda: known(session.portal, path, cookie), 90, "the index to know the runs", 1)
    return str(experiment), runs


def known(portal: Portal, path: str, headers: dict[str, str]) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", portal.port, timeout=30)) as connection:
        connection.request("GET", path, headers={"Host": portal.host, **headers})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        return False
    said = json.loads(content)
    ended = [run for run in said["runs"] if not run["running"]]
    return len(ended) == RUNS and all(None not in values for values in said["columns"].values())


class Tracker:
    """Calls of MLflow's API through the portal's route."""

    def __init__(self, portal: Portal, token: str) -> None:
        self.portal, self.token = portal, token

    def __call__(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, answer = self.portal.call("POST", f"/mlflow/api/2.0/mlflow/{path}", self.token, body)
        if status != 200:
            raise RuntimeError(f"MLflow's {path} was answered with {status}: {answer}")
        return dict(answer)


def mlflow_seconds(portal: Portal, runs: list[str], metric: str) -> float:
    """How long MLflow itself needs for the same points, asked without the portal."""
    known_by = json.loads((portal.data / "run" / "environment.json").read_text())
    where = urlsplit(known_by["MLFLOW_TRACKING_URI"])
    query = urlencode([*(("run_ids", run) for run in runs), ("metric_key", metric), ("max_results", 2500)])
    with closing(http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)) as connection:
        began = time.perf_counter()
        headers = {"X-Slipway-MLflow-Secret": known_by["MLFLOW_SERVER_SECRET"]}
        connection.request("GET", f"/api/2.0/mlflow/metrics/get-history-bulk-interval?{query}", headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        seconds = time.perf_counter() - began
    if answer.status != 200 or len(json.loads(content)["metrics"]) != RUNS * POINTS:
        raise RuntimeError(f"MLflow answered {answer.status} with {len(content)} bytes")
    return seconds


class chromium_page:  # noqa: N801 - used as a function is
    """A signed-in page of dana's."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal

    def __enter__(self) -> Page:
        from playwright.sync_api import sync_playwright

        found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
        if not found:
            raise RuntimeError("there is no Chromium: set CHROMIUM")
        self.driver = sync_playwright().start()
        self.browser = self.driver.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        page = self.browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"http://{self.portal.host}/accounts/sign-in/")
        page.get_by_label("Username").fill("dana")
        page.get_by_label("Password").fill(self.portal.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"http://{self.portal.host}/")
        return page

    def __exit__(self, *_: object) -> None:
        self.browser.close()
        self.driver.stop()


def draw(page: Page, portal: Portal, experiment: str, how: str, metrics: list[str]) -> tuple[float, float, float]:
    """Milliseconds from the request to the drawing, from opening the page to it, and to a first look."""
    page.goto(f"http://{portal.host}/experiments/{experiment}/charts/?{urlencode([('curve', one) for one in metrics])}")
    drawn = page.evaluate(DRAWN)
    if drawn is None or drawn[2] != RUNS * POINTS:
        raise RuntimeError(f"the curves were not drawn ({how}): {drawn}")
    return drawn[0], drawn[1], drawn[3]
