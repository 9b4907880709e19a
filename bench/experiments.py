"""100,000 runs in MLflow: the first import by the portal's worker, what it holds meanwhile, and lists beside MLflow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import psycopg

from bench.experiments_data import Made, fill
from bench.figures import Figure, limited, median, percentile
from bench.memory import command_of, descendants, memory_of
from bench.processes import wait_until
from portal.up.places import Places

if TYPE_CHECKING:
    from bench.portal import Portal
    from bench.session import Session

PART = "experiments"
EXPERIMENTS, RUNS, QUICK_RUNS = 200, 100_000, 2_000
IMPORT_LIMIT_S, GROWTH_LIMIT_MB = 180.0, 100.0
PAGE_LIMIT_MS, OR_LIMIT_MS, NEW_LIMIT_S = 60.0, 150.0, 10.0
IDLE_SECONDS = 60
REBUILD = "from apps.experiments.services.indexing import index_rebuild; index_rebuild(actor=None)"
METRICS = ("auc", "accuracy", "f1", "loss", "seconds_per_epoch")
OR_FILTER = 'metrics.auc > 0.97 or (params.net = "unet" and metrics.loss < 0.05) or tags.stage = "nothing"'


def measure(session: Session) -> list[Figure]:
    portal = session.portal
    runs = QUICK_RUNS if session.quick else RUNS
    made = fill(mlflow_url(portal), experiments=20 if session.quick else EXPERIMENTS, runs=runs)
    session.say(f"{runs} runs written in {made.seconds:.0f} s")
    return [
        *first_import(session, portal, runs),
        *seen_after(session, portal),
        *at_rest(session, portal),
        *lists(session, tidied(portal), made),
    ]


def mlflow_url(portal: Portal) -> str:
    """Of the database of the portal's embedded MLflow server, as libpq takes it."""
    places = Places(portal.data)
    sockets = quote(str(places.sockets), safe="")
    return f"postgresql://mlflow:{quote(places.secret('postgres-mlflow'))}@/mlflow?host={sockets}"


def first_import(session: Session, portal: Portal, runs: int) -> list[Figure]:
    """By the worker that a portal has, with everything else that it does; memory is of both its processes."""
    workers = processes(portal, "celery -A portal worker")
    before = {pid: memory_of(pid)[1] for pid in workers}
    grown = 0.0
    with psycopg.connect(portal.database_url, autocommit=True) as connection:
        portal.manage("shell", "-c", REBUILD)
        seconds = None
        while seconds is None:
            time.sleep(1)
            grown = max(grown, *(memory_of(pid)[1] - before[pid] for pid in workers))
            row = connection.execute(
                "SELECT extract(epoch FROM imported_at - import_started_at), runs_read, away_reason"
                " FROM experiments_trackerindex"
            ).fetchone()
            if row and row[2]:
                raise RuntimeError(f"MLflow did not answer: {row[2]}")
            seconds = float(row[0]) if row and row[0] is not None else None
        (count,) = connection.execute("SELECT count(*) FROM experiments_run").fetchone() or (0,)
    if count < runs:
        raise RuntimeError(f"{count} of {runs} runs are in the index")
    session.say(f"import {seconds:.0f} s, worker grew by {grown:.0f} MB from {max(before.values()):.0f} MB")
    return [
        limited(PART, f"First import of {runs:,} runs", seconds, "s", IMPORT_LIMIT_S),
        limited(PART, "What the worker grew by meanwhile, RSS", grown, "MB", GROWTH_LIMIT_MB),
    ]


def seen_after(session: Session, portal: Portal) -> list[Figure]:
    """From MLflow's answer to the row of the index, for a new run, a metric, its end, and a tag of an old run."""
    times: list[float] = []
    row = "SELECT 1 FROM experiments_run r"
    with Mlflow(portal) as mlflow, psycopg.connect(portal.database_url, autocommit=True) as database:

        def until(query: str, *values: Any) -> None:
            began = time.monotonic()
            wait_until(lambda: bool(database.execute(query, values).fetchone()), 60, "the index", 0.1)
            times.append(time.monotonic() - began)

        experiment = mlflow.post("experiments/create", name=f"vision/bench-{int(time.time())}")["experiment_id"]
        for _ in range(2 if session.quick else 5):
            now = int(time.time() * 1000)
            run = mlflow.post("runs/create", experiment_id=experiment, start_time=now)["run"]["info"]["run_id"]
            until(f"{row} WHERE r.run_id = %s", run)
            mlflow.post("runs/log-metric", run_id=run, key="auc", value=0.5, timestamp=now)
            until(f"{row} JOIN experiments_runmetric m ON m.run_id = r.id WHERE r.run_id = %s", run)
            mlflow.post("runs/update", run_id=run, status="FINISHED", end_time=now + 1000)
            until(f"{row} WHERE r.run_id = %s AND status = 'FINISHED'", run)
    return [limited(PART, "A new run, metric or end is in the lists, slowest", max(times), "s", NEW_LIMIT_S)]


def at_rest(session: Session, portal: Portal) -> list[Figure]:
    """What the indexer costs the MLflow server while nothing happens there, its reconcile included."""
    (pid,) = processes(portal, "apps.experiments.mlflow_server")[:1]
    before = processor_seconds(pid)
    seconds = 10 if session.quick else IDLE_SECONDS
    time.sleep(seconds)
    share = 100 * (processor_seconds(pid) - before) / seconds
    return [limited(PART, "Processor of MLflow while nothing happens", share, "%", 15)]


def tidied(portal: Portal) -> Portal:
    """PostgreSQL cleans up by itself in the minutes after so much was loaded: here before lists are timed."""
    for url in (portal.database_url, mlflow_url(portal)):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
    return portal


def lists(session: Session, portal: Portal, made: Made) -> list[Figure]:
    """First pages of 100 runs by every metric with the exact total, and an OR over everything.

    As they are asked for: a click on a head brings the list, a filter or a link the whole page.
    """
    # Long enough to meet all that the portal does meanwhile as often as it does it.
    rounds = 2 if session.quick else 60
    experiment = made.experiments[1]
    by_metric = [f"/experiments/{experiment}/?{urlencode({'ordering': f'-metrics.{name}'})}" for name in METRICS]
    everywhere = [f"/experiments/runs/?{urlencode({'ordering': f'-metrics.{name}'})}" for name in METRICS]
    filtered = [f"/experiments/runs/?{urlencode({'filter': OR_FILTER})}"]
    cookie = session.session_of("pete")
    headers = {"Host": portal.host, "Cookie": cookie}
    clicked = headers | {"HX-Request": "true", "HX-Boosted": "true", "HX-Target": "runs"}
    ours = timed(portal.port, by_metric, clicked, rounds)
    wide = timed(portal.port, everywhere, clicked, rounds)
    whole = timed(portal.port, by_metric, headers, rounds)
    either = timed(portal.port, filtered, headers, rounds)
    with Mlflow(portal) as mlflow:
        bare = [
            clocked(lambda name=name: mlflow.search([experiment], name))  # type: ignore[misc]
            for _ in range(max(1, rounds // 12))
            for name in METRICS
        ]
        bare_wide = [clocked(lambda: mlflow.search(made.experiments, "auc")) for _ in range(max(1, rounds // 12))]
    return [
        beside("100 runs of one experiment by a metric, with the total, p95", ours, bare, PAGE_LIMIT_MS),
        beside("100 runs of all experiments by a metric, with the total, p95", wide, bare_wide, PAGE_LIMIT_MS),
        Figure(
            PART,
            "The same of one experiment as a whole page, p95",
            1000 * percentile(whole, 0.95),
            "ms",
            1000 * percentile(bare, 0.95),
            MLFLOW,
        ),
        limited(PART, "An OR over all experiments, p95", 1000 * percentile(either, 0.95), "ms", OR_LIMIT_MS),
        Figure(
            PART,
            "100 runs of one experiment by a metric, median",
            1000 * median(ours),
            "ms",
            1000 * median(bare),
            MLFLOW,
        ),
    ]


MLFLOW = "MLflow's runs/search, without a total"


def beside(what: str, ours: list[float], bare: list[float], limit: float) -> Figure:
    value, other = 1000 * percentile(ours, 0.95), 1000 * percentile(bare, 0.95)
    return Figure(PART, what, value, "ms", other, MLFLOW, f"under {limit:g} ms and MLflow's", value < min(limit, other))


class Mlflow:
    """The server itself, by one kept connection."""

    def __init__(self, portal: Portal) -> None:
        settings = json.loads((portal.data / "run" / "environment.json").read_text())
        server = urlsplit(settings["MLFLOW_TRACKING_URI"])
        self._connection = HTTPConnection(str(server.hostname), server.port or 80, timeout=60)
        self._headers = {
            "X-Slipway-MLflow-Secret": settings["MLFLOW_SERVER_SECRET"],
            "Content-Type": "application/json",
        }

    def __enter__(self) -> Mlflow:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, noun: str, **body: Any) -> Any:
        self._connection.request("POST", f"/api/2.0/mlflow/{noun}", json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{noun} was answered with {answer.status}: {content[:200]!r}")
        return json.loads(content)

    def search(self, experiments: list[str], metric: str) -> None:
        found = self.post(
            "runs/search", experiment_ids=experiments, max_results=100, order_by=[f"metrics.{metric} DESC"]
        )
        if not found.get("runs"):
            raise RuntimeError("MLflow found no runs")


def timed(port: int, paths: list[str], headers: dict[str, str], rounds: int) -> list[float]:
    """Seconds of each request, after one of every path that does not count."""
    times = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        for turn in range(rounds + 1):
            for path in paths:
                began = time.perf_counter()
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                body = answer.read()
                if turn:
                    times.append(time.perf_counter() - began)
                if answer.status != 200:
                    raise RuntimeError(f"{path} was answered with {answer.status}: {body[:200]!r}")
    return times


def clocked(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def processes(portal: Portal, command: str) -> list[int]:
    return [pid for pid in descendants(portal.process.pid, str(portal.data)) if command in command_of(pid)]


def processor_seconds(pid: int) -> float:
    import psutil

    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
