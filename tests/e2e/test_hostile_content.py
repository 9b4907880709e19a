"""What means harm, in a real browser: nothing that was logged runs as the portal, or leaves its box."""

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.experiments.hostile import FILES, MARKUP, METRICS, PARAMS, TAGS, TURNED

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


@dataclass
class Study:
    """Two runs of dana's: one that means harm, and one beside it."""

    portal: Portal
    token: str
    experiment: str = ""
    runs: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, **options: Any) -> Any:
        url = f"{self.portal.url}mlflow/api/2.0/{path}"
        answer = requests.request(method, url, headers={"Authorization": f"Bearer {self.token}"}, timeout=60, **options)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.text else None

    def run(self, name: str, params: dict[str, str], metrics: dict[str, Any], tags: dict[str, str]) -> None:
        began = int(time.time() * 1000)
        pairs = [{"key": key, "value": value} for key, value in tags.items()]
        made = {"experiment_id": self.experiment, "run_name": name, "start_time": began, "tags": pairs}
        run_id = self.ask("POST", "mlflow/runs/create", json=made)["run"]["info"]["run_id"]
        points = [{"key": key, "value": value, "timestamp": began, "step": 0} for key, value in metrics.items()]
        rows = [{"key": key, "value": value} for key, value in params.items()]
        self.ask("POST", "mlflow/runs/log-batch", json={"run_id": run_id, "metrics": points, "params": rows})
        self.runs.append(run_id)

    def put(self, name: str, content: bytes) -> None:
        quoted = requests.utils.quote(name.replace("%", "%25"))
        path = f"mlflow-artifacts/artifacts/{self.experiment}/{self.runs[0]}/artifacts/{quoted}"
        self.ask("PUT", path, data=content)


@pytest.fixture(scope="module")
def study(portal: Portal) -> Study:
    made = Study(portal, portal.token("dana", "mlflow"))
    name = f"vision/{secrets.token_hex(3)} <b onclick=alert(1)>bold</b>"
    made.experiment = made.ask("POST", "mlflow/experiments/create", json={"name": name})["experiment_id"]
    made.run(f"{TURNED} {MARKUP}", PARAMS, METRICS, TAGS)
    made.run("beside", {"long": "short", "a.b c/d: e": "4"}, {"a metric/of: x": 0.75}, {})
    for name, content in FILES.items():
        made.put(name, content)
    return made


@pytest.fixture(scope="module")
def dana(browser: Browser, portal: Portal, study: Study) -> Iterator[Page]:
    """Signed in, once the index knows both runs."""
    page = sign_in(browser, portal, "dana")
    deadline = time.monotonic() + 60
    while any(page.request.get(f"{portal.url}experiments/runs/{run}/").status != 200 for run in study.runs):
        assert time.monotonic() < deadline, "the runs do not come into the index"
        time.sleep(1)
    yield page
    page.context.close()


def pages_of(study: Study) -> list[str]:
    at, both = f"experiments/runs/{study.runs[0]}/", "&".join(f"run={run}" for run in study.runs)
    odd = "&".join(f"column={requests.utils.quote(f'params.{key}')}" for key in PARAMS)
    files = [requests.utils.quote(name) for name in FILES]
    return [
        "experiments/",
        "experiments/runs/",
        f"experiments/{study.experiment}/",
        f"experiments/{study.experiment}/?{odd}",
        f"experiments/{study.experiment}/?ordering=-params.a.b+c%2Fd%3A+e",
        f"experiments/{study.experiment}/charts/",
        f"experiments/compare/?{both}",
        at,
        *(f"{at}{tab}/" for tab in ("metrics", "artifacts", "traces", "lineage", "recreate")),
        *(f"{at}artifacts/?path={name}" for name in files),
    ]


def test_nothing_that_was_logged_runs_on_any_page(dana: Page, portal: Portal, study: Study) -> None:
    happened: list[str] = []
    dana.on("dialog", lambda dialog: (happened.append(f"dialog at {dana.url}: {dialog.message}"), dialog.dismiss()))
    dana.context.on("page", lambda other: happened.append(f"window opened at {dana.url}: {other.url}"))
    for path in pages_of(study):
        answer = dana.goto(portal.url + path, wait_until="load")
        assert answer is not None
        assert answer.status == 200, path
        dana.wait_for_timeout(300)
        assert dana.url.startswith(portal.url), f"{path} went to {dana.url}"
        assert dana.evaluate("window.__pwned") is None, path
        assert dana.locator("img[src='x'], [onerror], [onclick], [onload], a[href^='javascript:']").count() == 0, path
    assert happened == []
    dana.goto(portal.url)
    expect(dana.get_by_role("link", name="Environments").first).to_be_visible()


def test_a_page_somebody_logged_stays_in_its_box(dana: Page, portal: Portal, study: Study) -> None:
    address = f"{portal.url}experiments/runs/{study.runs[0]}/artifacts/?path=report.html"
    dana.goto(address)
    frame = dana.frame_locator("iframe.preview-frame")
    heading = frame.locator("#inside")
    expect(heading).to_contain_text("told", timeout=20_000)
    told = json.loads((heading.text_content() or "").removeprefix("told "))
    assert told["origin"] == "null"
    for reached in ("cookie", "parent", "storage", "top"):
        assert told[reached] == "refused", told
    assert told["api"] == "refusedrefused"
    dana.wait_for_timeout(500)
    assert dana.url == address, "the page around it stays where it is"
    assert dana.evaluate("window.__pwned") is None
    assert dana.request.get(f"{portal.url}accounts/").status == 200, "nobody was signed out"


def test_it_cannot_be_opened_outside_its_box(dana: Page, portal: Portal, study: Study) -> None:
    frame = f"{portal.url}experiments/runs/{study.runs[0]}/artifacts/frame/?path=report.html"
    answer = dana.goto(frame)
    assert answer is not None
    assert answer.status == 404
    for name in ("report.html", "drawing.svg"):
        url = f"{portal.url}experiments/runs/{study.runs[0]}/artifacts/file/?path={name}"
        for more in ("", "&show=1"):
            given = dana.request.get(url + more)
            assert given.status == 200
            inline = given.headers["content-disposition"].startswith("inline")
            assert not inline or "sandbox" in given.headers["content-security-policy"]
            assert given.headers["content-type"] != "text/html"
            assert given.headers["x-content-type-options"] == "nosniff"
