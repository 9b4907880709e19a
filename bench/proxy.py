"""What the two ways through the portal cost: `/mlflow/` against MLflow, an application host against JupyterLab."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from bench.figures import Figure, limited, median, percentile

if TYPE_CHECKING:
    from bench.portal import Portal
    from bench.session import Session

NAVIGATION = {"Accept": "text/html", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FILES = "/api/contents?content=1"
MLFLOW = "/api/2.0/mlflow"
SLOWER_MS = 5.0  # that the route may add to a small call, at the median


def measure(session: Session) -> list[Figure]:
    portal, token = session.portal, session.token("dana")
    count = 20 if session.quick else 300
    door = ("127.0.0.1", portal.port)
    key = portal.launch(token, "proxy")
    portal.wait([key], "running")
    try:
        slug = portal.call("GET", f"/api/v1/environments/{key}/", token)[1]["slug"]
        host = f"{slug}.apps.{portal.host}"
        (record,) = (portal.data / "agent" / "services" / key).glob("*/service.json")
        service = json.loads(record.read_text())
        cookie = _come_in(portal, host, session.session_of("dana"))
        ours = _times(door, FILES, {"Host": host, "Cookie": cookie}, count)
        secret = {"Host": host, "Authorization": f"token {service['secret']}"}
        bare = _times(("127.0.0.1", int(service["port"])), FILES, secret, count)
        mlflow = _mlflow_figures(portal, token, count)
    finally:
        portal.destroy(token, key, "proxy")
        portal.wait([key], "destroyed")
    return [*_figures("A notebook's listing of files through its host", ours, bare, "JupyterLab itself"), *mlflow]


def _mlflow_figures(portal: Portal, token: str, count: int) -> list[Figure]:
    """Small calls as a training script makes them, one through the route and one to the server in turn."""
    settings = json.loads((portal.data / "run" / "environment.json").read_text())
    server = urlsplit(settings["MLFLOW_TRACKING_URI"])
    known = {"X-Slipway-MLflow-Secret": settings["MLFLOW_SERVER_SECRET"], "Host": server.netloc}
    ways = [
        (("127.0.0.1", portal.port), "/mlflow", {"Host": portal.host, "Authorization": f"Bearer {token}"}),
        ((str(server.hostname), server.port or 80), "", known),
    ]
    name = {"name": f"vision/bench-{time.time_ns()}"}
    experiment = portal.call("POST", f"/mlflow{MLFLOW}/experiments/create", token, name)[1]["experiment_id"]
    made = {"experiment_id": experiment, "start_time": 0}
    run = portal.call("POST", f"/mlflow{MLFLOW}/runs/create", token, made)[1]["run"]["info"]["run_id"]
    metric = json.dumps({"run_id": run, "key": "loss", "value": 0.5, "timestamp": 1, "step": 1})
    calls = [
        ("A search of experiments", "GET", f"{MLFLOW}/experiments/search?max_results=20", None),
        ("A run read", "GET", f"{MLFLOW}/runs/get?run_id={run}", None),
        ("A metric logged", "POST", f"{MLFLOW}/runs/log-metric", metric),
    ]
    figures = []
    for what, method, path, body in calls:
        ours, bare = _in_turn(ways, method, path, body, count)
        figures += _figures(f"{what} through `/mlflow/`", ours, bare, "MLflow itself")
        slower = (median(ours) - median(bare)) * 1000
        figures.append(limited("proxy", f"{what} through `/mlflow/`, slower at the median by", slower, "ms", SLOWER_MS))
    return figures


def _in_turn(
    ways: list[tuple[tuple[str, int], str, dict[str, str]]], method: str, path: str, body: str | None, count: int
) -> list[list[float]]:
    """Seconds of each request by each of the ways, which take turns so that both meet the same machine."""
    times: list[list[float]] = [[] for _ in ways]
    kind = {"Content-Type": "application/json"} if body else {}
    with contextlib.ExitStack() as stack:
        lines = [
            stack.enter_context(contextlib.closing(http.client.HTTPConnection(*way[0], timeout=30))) for way in ways
        ]
        for _ in range(count + 5):
            for (_address, prefix, headers), line, taken in zip(ways, lines, times, strict=True):
                started = time.perf_counter()
                line.request(method, prefix + path, body=body, headers={**headers, **kind})
                answer = line.getresponse()
                said = answer.read()
                taken.append(time.perf_counter() - started)
                if answer.status != 200:
                    raise RuntimeError(f"{prefix}{path} was answered with {answer.status}: {said[:200]!r}")
    return [taken[5:] for taken in times]


def _come_in(portal: Portal, host: str, portal_cookie: str) -> str:
    """The Cookie header of the owner's browser at the application's host, got as a browser gets it."""
    held: dict[str, str] = {}
    url = f"http://{host}/lab"
    for _ in range(6):
        parts = urlsplit(url)
        at_portal = parts.netloc == portal.host
        cookie = portal_cookie if at_portal else "; ".join(f"{name}={value}" for name, value in held.items())
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", portal.port, timeout=30)) as connection:
            connection.request("GET", path, headers={**NAVIGATION, "Host": parts.netloc, "Cookie": cookie})
            answer = connection.getresponse()
            answer.read()
        if answer.status == 200:
            return cookie
        for line in answer.headers.get_all("Set-Cookie") or []:
            if not at_portal:
                name, _, value = line.split(";")[0].partition("=")
                held[name] = value
        url = urljoin(url, answer.headers.get("Location", ""))
    raise RuntimeError(f"the way into {host} does not end: {answer.status} at {url}")


def _figures(what: str, ours: list[float], bare: list[float], beside: str) -> list[Figure]:
    return [
        Figure("proxy", f"{what}, median", median(ours) * 1000, "ms", median(bare) * 1000, beside),
        Figure("proxy", f"{what}, p95", percentile(ours, 0.95) * 1000, "ms", percentile(bare, 0.95) * 1000, beside),
    ]


def _times(address: tuple[str, int], path: str, headers: dict[str, str], count: int) -> list[float]:
    """Seconds of each of `count` requests over one connection, after five that do not count."""
    times = []
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=30)) as connection:
        for _ in range(count + 5):
            started = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            times.append(time.perf_counter() - started)
            if answer.status != 200:
                raise RuntimeError(f"{path} at port {address[1]} was answered with {answer.status}: {body[:200]!r}")
    return times[5:]
