"""A model as people take it: registered from a run, given a card and an alias, deployed, asked for a prediction."""

import re
import time
import uuid
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import Notebook, notebooks_destroy
from tests.e2e.test_runtimes import walk

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DEMO_SECONDS = 240


def demo_run(portal: Portal, token: str) -> tuple[str, str]:
    """A run of the demo's leaver screening that kept its model, and the model's id."""
    deadline = time.monotonic() + DEMO_SECONDS
    while time.monotonic() < deadline:
        path = "mlflow/api/2.0/mlflow/experiments/get-by-name?experiment_name=churn/leaver-screening"
        status, found = portal.get(path, token)
        if status == 200:
            experiment: Any = found["experiment"]
            wanted = {
                "experiment_ids": [experiment["experiment_id"]],
                "filter": "tags.kept = 'true' AND attributes.status = 'FINISHED'",
            }
            answer: Any = portal.call("POST", "mlflow/api/2.0/mlflow/runs/search", wanted, token)[1]
            for run in answer.get("runs", []):
                for output in run.get("outputs", {}).get("model_outputs", []):
                    return run["info"]["run_id"], output["model_id"]
        time.sleep(1)
    raise AssertionError(f"The demo made no model within {DEMO_SECONDS} s")


@pytest.mark.matrix
def test_a_model_goes_from_its_run_to_a_prediction(portal: Portal, browser: Browser) -> None:
    token, mark = portal.token("dana"), uuid.uuid4().hex[:6]
    run_id, model_id = demo_run(portal, token)
    page = sign_in(browser, portal, "dana")
    name, endpoint = f"churn.leavers-{mark}", f"leavers {mark}"
    try:
        page.goto(f"{portal.url}models/register/?run={run_id}&model={model_id}")
        page.get_by_label("Name of the new model").fill(f"leavers-{mark}")
        page.get_by_role("button", name="Register model").click()
        page.wait_for_url(f"{portal.url}models/{name}/1/")
        expect(page.get_by_role("heading", name=f"{name}, version 1")).to_be_visible()
        # Its files are read by a worker within seconds.
        deadline = time.monotonic() + 60
        while page.get_by_text("scikit-learn==").count() == 0:
            assert time.monotonic() < deadline, "The files of the version were not read"
            time.sleep(1)
            page.reload()

        page.get_by_role("link", name="Set alias").click()
        page.get_by_label("Alias").fill("champion")
        page.get_by_role("button", name="Set alias").click()
        page.wait_for_url(f"{portal.url}models/{name}/")
        expect(page.get_by_text("set champion to version 1")).to_be_visible()

        page.get_by_role("link", name="Edit card").click()
        page.get_by_label("Intended use").fill("Call people who are about to **leave**.")
        page.get_by_role("button", name="Save card").click()
        expect(page.get_by_text("1 of 9 sections written")).to_be_visible()

        page.goto(f"{portal.url}models/{name}/1/")
        page.get_by_role("link", name="Deploy").click()
        assert page.locator("#id_input-model_name").input_value() == name
        assert page.locator("#id_input-model_version").input_value() == "1"
        page.locator("#id_name").fill(endpoint)
        page.get_by_label("Open when ready").uncheck()
        page.locator("main").get_by_role("button", name="Launch").click()
        page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
        key = re.search(r"[0-9a-f-]{36}", page.url)[0]  # type: ignore[index]
        Notebook(portal, token, key, "", endpoint).settled("running")

        page.goto(f"{portal.url}models/{name}/1/")
        page.get_by_role("button", name="Send prediction").click()
        expect(page.get_by_role("heading", name=re.compile(r"Answer, in \d"))).to_be_visible(timeout=30_000)
        expect(page.locator("#predict code").last).to_contain_text("predictions")
        page.reload()
        expect(page.locator(".lineage").get_by_text("through Slipway")).to_be_visible()

        page.goto(f"{portal.url}models/")
        row = page.get_by_role("row", name=re.compile(re.escape(name)))
        expect(row).to_contain_text("Running")
        expect(row).to_contain_text("champion")
        for number, path in enumerate(("", "1/", "card/", "alias/?alias=champion", "compare/")):
            walk(page, portal, f"model-{number}", f"models/{name}/{path}")
        walk(page, portal, "models", "models/")
        walk(page, portal, "register", f"models/register/?run={run_id}&model={model_id}")
    finally:
        notebooks_destroy(portal, token, endpoint)
