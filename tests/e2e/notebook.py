"""A notebook of dana's that runs: what the browser tests of pages, doors and live updates look at."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import Portal

FIRST_BUILD_SECONDS = 240
SETTLED = ("running", "stopped", "failed", "destroyed")
LAUNCH_FORM = "environments/launch/local-notebook/"


@dataclass
class Notebook:
    """An environment with the token of its owner."""

    portal: Portal
    token: str
    id: str
    slug: str
    name: str

    def read(self) -> dict[str, Any]:
        return self.portal.get(f"api/v1/environments/{self.id}/", self.token)[1]

    def settled(self, status: str, seconds: float = FIRST_BUILD_SECONDS) -> dict[str, Any]:
        """Wait until nothing goes on with it, and check where it has come to."""
        deadline = time.monotonic() + seconds
        while (row := self.read())["active_change"] or row["status"] not in SETTLED:
            assert time.monotonic() < deadline, f"{self.name} is {row['status']} after {seconds} s"
            time.sleep(0.3)
        assert row["status"] == status, (row["status_reason"], self.log_tail())
        return row

    def log_tail(self) -> list[str]:
        lines: Any = self.portal.get(f"api/v1/changes/{self.changes()[0]['id']}/log/", self.token)[1]["lines"]
        return [line["text"] for line in lines[-20:]]

    def changes(self) -> list[dict[str, Any]]:
        answer: Any = self.portal.get(f"api/v1/changes/?environment={self.id}", self.token)[1]
        return list(answer["results"])

    def act(self, action: str, **body: Any) -> None:
        status, answer = self.portal.call("POST", f"api/v1/environments/{self.id}/{action}/", body, self.token)
        assert status == 200, answer


def notebook_launch(portal: Portal, token: str, name: str) -> Notebook:
    body = {"name": name, "team": "churn", "module": "local-notebook"}
    status, row = portal.call("POST", "api/v1/environments/", body, token)
    assert status == 201, row
    return Notebook(portal, token, str(row["id"]), str(row["slug"]), name)


def notebooks_destroy(portal: Portal, token: str, *names: str) -> None:
    """Take away what a test has launched; what is still being built first comes to an end."""
    rows: Any = portal.get("api/v1/environments/?page_size=100", token)[1]["results"]
    mine = [Notebook(portal, token, row["id"], row["slug"], row["name"]) for row in rows if row["name"] in names]
    for notebook in mine:
        notebook.settled(_settled_status(notebook))
        notebook.act("destroy", confirm=notebook.name)
    for notebook in mine:
        notebook.settled("destroyed", 60)


def _settled_status(notebook: Notebook) -> str:
    deadline = time.monotonic() + FIRST_BUILD_SECONDS
    while (row := notebook.read())["active_change"]:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    return str(row["status"])


@pytest.fixture(scope="module")
def notebook(portal: Portal, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    """Runs for the tests of one module; named after it, so that a portal can be used again."""
    token = portal.token("dana")
    name = f"nb {request.module.__name__.rpartition('.')[2].removeprefix('test_')} {int(time.time())}"
    made = notebook_launch(portal, token, name)
    made.settled("running")
    yield made
    notebooks_destroy(portal, token, name)


def page_post(page: Page, portal: Portal, path: str, **fields: str) -> Any:
    """A plain POST with the page's session, as a form without JavaScript sends it; redirects are not followed."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies(portal.url)}  # type: ignore[typeddict-item]
    form: dict[str, str | float | bool] = {"csrfmiddlewaretoken": cookies["slipway_csrf"], **fields}
    return page.context.request.post(portal.url + path, form=form, max_redirects=0)
