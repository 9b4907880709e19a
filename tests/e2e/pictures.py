"""The pictures of README and guides, made by the product: `.venv/bin/python -m tests.e2e.pictures`.

A portal is started on an empty folder, what the guides tell of is done in it, and docs/images/*.png are written.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from tests.catalog.git_server import Repository, served
from tests.conftest import CHROMIUM_ARGUMENTS, chromium
from tests.e2e.conftest import ROOT, Portal, port_free, portal_start, portal_stop, sign_in
from tests.guide_module import version_raise, write_first, write_second

IMAGES = ROOT / "docs" / "images"
RULE = """package slipway

deny contains {
	"rule": "long-greetings",
	"msg": "The greeting is longer than 8 characters.",
	"cure": "Choose a shorter greeting.",
} if {
	count(input.request.inputs.greeting) > 8
}
"""


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="slipway-pictures-"))
    (folder / "data").mkdir(mode=0o700)
    portal = portal_start(folder / "data", port_free())
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
            Scene(portal, browser, folder).play()
            browser.close()
    finally:
        portal_stop(portal)
        shutil.rmtree(folder, ignore_errors=True)


class Scene:
    """One portal and the people who use it."""

    def __init__(self, portal: Portal, browser: Browser, folder: Path) -> None:
        self.portal, self.folder = portal, folder
        self.pages = {name: sign_in(browser, portal, name) for name in ("dana", "mira", "pete")}
        self.tokens = {name: portal.token(name) for name in self.pages}

    def play(self) -> None:
        dana, pete = self.pages["dana"], self.pages["pete"]
        cluster = self.launch("dana", "dask cluster", "local-dask-cluster", team="vision")
        notebook = self.launch("dana", "notebook", "local-notebook", team="vision")
        self.picture(dana, "environments/launch/local-notebook/", "launch")
        repository = Repository(self.folder)
        with served(self.folder) as base:
            self.modules(pete, repository, f"{base}/modules.git")
        self.wait_running(notebook, cluster)
        self.picture(dana, f"environments/{notebook}/", "environment")
        self.picture(dana, f"environments/{cluster}/", "cluster")
        self.experiments(dana)
        self.picture(self.pages["mira"], "", "home-manager")
        self.picture(pete, "runtimes/python-3-11-scikit-learn/", "runtime")
        self.picture(pete, "modules/", "modules")

    def experiments(self, page: Page) -> None:
        """The demo's runs, filtered."""
        self.wait(lambda: self.champion() is not None)
        best = urlencode({"filter": "metrics.val_accuracy > 0.95 OR params.estimator = 'svc'"})
        self.picture(page, f"experiments/runs/?{best}&ordering=-metrics.val_accuracy", "experiments")

    def champion(self) -> str | None:
        """A model of the demo whose alias is set, which is the last that the demo does."""
        models: Any = self.portal.get("api/v1/models/", self.tokens["dana"])[1]["results"]
        return next((model["name"] for model in models if model["aliases"]), None)

    def modules(self, page: Page, repository: Repository, address: str) -> None:
        """A failing draft, two versions, a rollout between them, a rule tried on the plans of all that."""
        write_first(repository.work)
        test = repository.work / "notes" / "tests" / "notes.tftest.hcl"
        test.write_text(test.read_text().replace('== "Notes"', '== "Hello"'))
        repository.commit("Notes")
        page.goto(f"{self.portal.url}modules/register/")
        page.get_by_label("Short name").fill("notes")
        page.get_by_label("Git address").fill(address)
        page.get_by_label("Folder").fill("notes")
        page.get_by_role("button", name="Retrieve module").click()
        page.wait_for_url(re.compile("/modules/sources/"))
        source = page.url
        page.get_by_role("link", name="1.0.0", exact=True).first.click(timeout=120_000)
        page.get_by_text("It cannot be published yet").first.wait_for(timeout=120_000)
        self.picture(page, None, "version-checks")
        test.write_text(test.read_text().replace('== "Hello"', '== "Notes"'))
        version_raise(repository.work, "1.0.1")
        self.publish(page, repository, source, "1.0.1")
        made = [
            self.launch(who, f"notes of {team}", "notes", team=team, greeting=greeting)
            for who, team, greeting in (
                ("dana", "vision", "Vision"), ("mira", "churn", "Our notes"), ("mira", "vision", "Plans")
            )
        ]  # fmt: skip
        self.wait_running(*made)
        write_second(repository.work)
        self.publish(page, repository, source, "1.1.0")
        status, rollout = self.portal.call(
            "POST", "api/v1/rollouts/", {"module": "notes", "version": "1.1.0", "wave_size": 2}, self.tokens["pete"]
        )
        assert status == 201, rollout
        self.wait(
            lambda: self.portal.get(f"api/v1/rollouts/{rollout['id']}/", self.tokens["pete"])[1]["state"] != "running"
        )
        self.picture(page, f"environments/rollouts/{rollout['id']}/", "rollout")
        page.goto(f"{self.portal.url}policies/new/")
        page.get_by_label("Title").fill("Short greetings")
        page.get_by_label("Name", exact=True).fill("short-greetings")
        page.get_by_label("Rules").fill(RULE)
        page.get_by_role("button", name="Test against the last 50 plans").click()
        page.locator("#trial-title").wait_for(timeout=60_000)
        page.set_viewport_size({"width": 1180, "height": 720})
        page.locator("#trial-title").evaluate("title => title.scrollIntoView()")
        self.picture(page, None, "policy")

    def publish(self, page: Page, repository: Repository, source: str, version: str) -> None:
        repository.commit(version)
        page.goto(source)
        page.get_by_role("button", name="Retrieve module").click()
        page.get_by_role("link", name=version, exact=True).first.click(timeout=120_000)
        page.locator("button:not([aria-disabled])", has_text="Publish version").first.click(timeout=120_000)
        page.get_by_text("Published").first.wait_for()

    def launch(self, who: str, name: str, module: str, *, team: str, **inputs: Any) -> str:
        asked = {"name": name, "team": team, "module": module, "inputs": inputs}
        status, made = self.portal.call("POST", "api/v1/environments/", asked, self.tokens[who])
        assert status == 201, made
        return str(made["id"])

    def wait_running(self, *environments: str) -> None:
        for environment in environments:
            self.wait(
                lambda key=environment: (
                    self.portal.get(f"api/v1/environments/{key}/", self.tokens["pete"])[1]["status"] == "running"
                )
            )

    @staticmethod
    def wait(reached: Callable[[], bool], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def picture(self, page: Page, path: str | None, name: str) -> None:
        """`path` None: the page as it is."""
        page.set_viewport_size({"width": 1180, "height": 720})
        if path is not None:
            page.goto(f"{self.portal.url}{path}")
        page.wait_for_timeout(800)
        page.screenshot(path=str(IMAGES / f"{name}.png"))


if __name__ == "__main__":
    main()
