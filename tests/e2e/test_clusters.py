"""A Dask cluster as people use it: launched by its form, reached from JupyterLab by the lines on its page, watched."""

import json
import re
import time
import uuid
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import Notebook, notebook_launch, notebooks_destroy
from tests.e2e.test_journey import run_cell

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(500)]

WORK = """
import os, json, socket
pids = sorted(set(client.gather(client.map(lambda n: os.getpid(), range(20), pure=False))))
names = sorted({name for name in client.run(lambda: os.environ["SLIPWAY_ENVIRONMENT"]).values()})
print("TOLD", json.dumps({"own": os.getpid(), "workers": pids, "names": names, "link": client.dashboard_link}))
"""
LONG = """
import time
work = client.map(lambda n: time.sleep(0.5), range(40), pure=False)
print("SENT")
"""
STOPPED = """
import slipway
try:
    slipway.dask_client("{name}")
except slipway.ClusterError as error:
    print("ERROR", error)
"""


def told(output: str, word: str) -> str:
    return next(line.removeprefix(f"{word} ") for line in output.splitlines() if line.startswith(word))


def cluster_launch(page: Page, portal: Portal, token: str, name: str) -> Notebook:
    """By its form, as people do; ready when its page says so."""
    page.goto(f"{portal.url}environments/launch/")
    page.get_by_role("link", name="Dask cluster").click()
    page.locator("#id_name").fill(name)
    page.locator("#id_team").select_option(label="Churn")
    page.get_by_label("Open when ready").uncheck()
    page.locator("main").get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    key = re.search(r"[0-9a-f-]{36}", page.url)[0]  # type: ignore[index]
    cluster = Notebook(portal, token, key, "", name)
    cluster.slug = str(cluster.settled("running")["slug"])
    return cluster


def test_a_notebook_computes_on_a_clusters_workers(portal: Portal, browser: Browser) -> None:
    token = portal.token("dana")
    mark = uuid.uuid4().hex[:6]
    names = f"lab {mark}", f"dask {mark}"
    try:
        notebook = notebook_launch(portal, token, names[0])
        page = sign_in(browser, portal, "dana")
        cluster = cluster_launch(page, portal, token, names[1])
        notebook.settled("running")

        page.goto(f"{portal.url}environments/{cluster.id}/")
        expect(page.get_by_role("heading", name="Connect")).to_be_visible()
        snippet = page.locator("[data-copy*=dask_client]").get_attribute("data-copy") or ""
        assert f'slipway.dask_client("{names[1]}")' in snippet

        lab = page.context.new_page()
        lab.goto(f"{portal.url}environments/open/{notebook.slug}/")
        lab.wait_for_url(re.compile(rf"http://{notebook.slug}\.apps\."), timeout=30_000)
        answer: dict[str, Any] = json.loads(told(run_cell(lab, snippet + WORK), "TOLD"))
        assert answer["workers"]
        assert answer["own"] not in answer["workers"]
        assert answer["names"] == [names[1]]
        assert answer["link"] == f"http://{cluster.slug}.apps.{portal.host}/status"

        dashboard_is_live(page, portal, cluster, lab, snippet)
        another_team_is_kept_out(portal, cluster)

        cluster.act("stop")
        cluster.settled("stopped")
        error = told(run_cell(lab, STOPPED.format(name=names[1])), "ERROR")
        assert "is not running (stopped" in error
        assert f"{portal.url}environments/{cluster.id}/" in error

        cluster.act("start")
        cluster.settled("running")
        again = json.loads(told(run_cell(lab, snippet + WORK), "TOLD"))
        assert again["names"] == [names[1]]
        page.context.close()
    finally:
        notebooks_destroy(portal, token, *names)


def dashboard_is_live(page: Page, portal: Portal, cluster: Notebook, lab: Page, snippet: str) -> None:
    """Through the access proxy: Bokeh's page, its WebSocket, and bars that move while something is computed."""
    sockets: list[str] = []
    frames: list[float] = []
    dashboard = page.context.new_page()

    def opened(socket: Any) -> None:
        sockets.append(socket.url)
        socket.on("framereceived", lambda _: frames.append(time.monotonic()))

    dashboard.on("websocket", opened)
    dashboard.goto(f"{portal.url}environments/open/{cluster.slug}/")
    dashboard.wait_for_url(re.compile(rf"http://{cluster.slug}\.apps\.{re.escape(portal.host)}/status"), timeout=30_000)
    expect(dashboard.locator(".bk-Figure, .bk-GridBox, .bk-root").first).to_be_visible(timeout=30_000)
    assert any("/status/ws" in address for address in sockets), sockets
    assert "SENT" in run_cell(lab, snippet + LONG)
    begun = time.monotonic()
    dashboard.wait_for_timeout(3000)
    assert len([at for at in frames if at > begun]) > 5
    # Without a session there the address answers to nobody.
    host = f"{cluster.slug}.apps.{portal.host}"
    assert portal.call("GET", "info/main/workers.html", None, "", Host=host)[0] == 401


def another_team_is_kept_out(portal: Portal, cluster: Notebook) -> None:
    token = portal.token("mallory")
    assert portal.get(f"api/v1/environments/{cluster.id}/connection/", token)[0] == 404
    assert portal.get("api/v1/connections/?kind=dask", token)[1]["results"] == []
