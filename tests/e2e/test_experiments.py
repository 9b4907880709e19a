"""From many runs to one that answers: find the best, compare, see what it ran on, make it again, register, predict."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Portal, sign_in
from tests.e2e.notebook import Notebook, notebook, notebooks_destroy
from tests.e2e.test_journey import run_cell, wait_for
from tests.e2e.test_pages import WIDE, page_faults

__all__ = ["notebook"]
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# What a person trains: small, and the same numbers each time.
TRAIN = """
import json, mlflow, numpy as np, pandas as pd, sklearn
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
mlflow.set_experiment({experiment!r})
rows = np.random.default_rng(7).normal(size=(400, 3))
features = pd.DataFrame(rows, columns=["age", "income", "visits"])
target = (rows @ [1.0, -2.0, 0.5] + np.random.default_rng(8).normal(scale=0.7, size=400) > 0).astype(int)
made = {{}}
for strength in {strengths!r}:
    with mlflow.start_run(run_name=f"strength {{strength}}") as run:
        mlflow.log_params({{"strength": strength, "solver": "lbfgs"}})
        mlflow.log_input(mlflow.data.from_pandas(features.iloc[:300], name="customers"), context="training")
        model = LogisticRegression(C=strength).fit(features[:300], target[:300])
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1 + strength), step=step)
        score = float(model.predict_proba(features[300:])[np.arange(100), target[300:]].mean())
        mlflow.log_metric("certainty", score)
        mlflow.sklearn.log_model(model, name="model", input_example=features.head(2),
                                 signature=infer_signature(features, model.predict(features)),
                                 # Named, because finding them out takes a process and many seconds for each.
                                 pip_requirements=["scikit-learn==" + sklearn.__version__, "pandas==" + pd.__version__])
        made[run.info.run_id] = score
print("MADE " + json.dumps(made))
"""


@pytest.fixture(scope="module")
def dana(browser: Browser, portal: Portal) -> Iterator[Page]:
    page = sign_in(browser, portal, "dana", reduced_motion="reduce")
    yield page
    page.context.close()


def lab_of(page: Page, portal: Portal, notebook: Notebook) -> Page:
    page.goto(f"{portal.url}environments/{notebook.id}/")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open JupyterLab").first.click()
    lab = opened.value
    lab.wait_for_url(re.compile(r"/lab"), timeout=60_000)
    return lab


def trained(lab: Page, experiment: str, strengths: list[float]) -> dict[str, float]:
    """Metric by run, as the notebook prints them."""
    output = run_cell(lab, TRAIN.format(experiment=experiment, strengths=strengths))
    return dict(json.loads(re.search(r"MADE (\{.*\})", output)[1]))  # type: ignore[index]


def looked_at(page: Page) -> None:
    """Accessible in both themes, and within 360 px."""
    faults = page_faults(page)
    assert faults == [], "\n".join(faults)
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")


def test_from_the_best_run_of_the_week_to_a_prediction(portal: Portal, dana: Page, notebook: Notebook) -> None:
    word = uuid.uuid4().hex[:6]
    experiment, registered = f"churn/journey/{word}", f"churn.journey-{word}"
    names = [f"again {word}", f"endpoint {word}"]
    lab = lab_of(dana, portal, notebook)
    made = trained(lab, experiment, [0.001, 0.1, 10.0])
    lab.close()
    best = max(made, key=lambda run_id: made[run_id])
    try:
        find_the_best(dana, portal, experiment, best)
        compare(dana, made)
        follow_to_the_infrastructure(dana, portal, best, notebook)
        again = recreate(dana, portal, best, notebook, names[0])
        assert get_the_metric_back(dana, portal, again, experiment, best) == made[best]
        register(dana, portal, best, registered)
        read_the_card(dana, portal, registered)
        predict(dana, portal, notebook, registered, names[1])
    finally:
        notebooks_destroy(portal, notebook.token, *names)


def find_the_best(page: Page, portal: Portal, experiment: str, best: str) -> None:
    """Through the list, a filter with an OR, and a click on the metric."""
    link = page.locator("#experiment-list").get_by_role("link", name=experiment.rpartition("/")[2])
    wait_for(
        lambda: page.goto(f"{portal.url}experiments/?q={experiment}") and link.count(), 60, "the experiment in the list"
    )
    looked_at(page)
    link.first.click()
    rows = page.locator(".runs-table tbody tr")
    wait_for(lambda: rows.count() == 3 or not page.reload(), 30, "all three runs in the table")
    page.get_by_label("Filter runs").fill(
        "(metrics.certainty > 0.5 OR params.strength = 0.1) AND start_time > last 7 days"
    )
    page.get_by_label("Filter runs").press("Enter")
    page.wait_for_url(re.compile(r"filter="))
    head = page.get_by_role("columnheader", name="certainty").get_by_role("link")
    # Which metric is an experiment's own is known a moment after its runs are.
    wait_for(lambda: head.count() or not page.reload(), 30, "the metric's column")
    head.click()
    page.wait_for_url(re.compile(r"ordering=-metrics.certainty"))
    first = page.locator(".runs-table tbody tr").first
    expect(first.locator(f"a[href*='{best}']").first).to_be_visible()
    looked_at(page)


def compare(page: Page, made: dict[str, float]) -> None:
    """All that are left of it, side by side, what differs first."""
    page.get_by_label("Filter runs").fill("")
    page.get_by_label("Filter runs").press("Enter")
    expect(page.locator(".runs-table tbody tr")).to_have_count(len(made))
    page.get_by_label("Select all on this page").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", name="Compare 3 runs")).to_be_visible()
    expect(page.locator(".compare-table")).to_contain_text("strength")
    looked_at(page)


def follow_to_the_infrastructure(page: Page, portal: Portal, best: str, notebook: Notebook) -> None:
    page.locator(f".compare-table a[href='/experiments/runs/{best}/']").first.click()
    page.wait_for_url(re.compile(rf"/experiments/runs/{best}/$"))
    looked_at(page)
    page.get_by_role("link", name="Lineage").first.click()
    expect(page.get_by_text("Verified", exact=True).first).to_be_visible()
    looked_at(page)
    page.locator(".lineage").get_by_role("link", name=notebook.name).click()
    page.wait_for_url(re.compile(rf"/environments/{notebook.id}/"))


def recreate(page: Page, portal: Portal, best: str, notebook: Notebook, name: str) -> Notebook:
    page.goto(f"{portal.url}experiments/runs/{best}/")
    page.get_by_role("link", name="Recreate").first.click()
    page.wait_for_url(re.compile(r"/recreate/"))
    looked_at(page)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Recreate environment").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    environment_id = re.search(r"[0-9a-f-]{36}", page.url)[0]  # type: ignore[index]
    row = portal.get(f"api/v1/environments/{environment_id}/", notebook.token)[1]
    again = Notebook(portal, notebook.token, environment_id, str(row["slug"]), name)
    then, now = notebook.read(), again.settled("running")
    assert [now[key] for key in ("module", "version", "team")] == [then[key] for key in ("module", "version", "team")]
    return again


def get_the_metric_back(page: Page, portal: Portal, again: Notebook, experiment: str, best: str) -> float:
    """Trains once more with the parameters the run was logged with, in the environment made again."""
    told: Any = portal.get(f"mlflow/api/2.0/mlflow/runs/get?run_id={best}", again.token)[1]["run"]
    params = {param["key"]: param["value"] for param in told["data"]["params"]}
    lab = lab_of(page, portal, again)
    (score,) = trained(lab, experiment, [float(params["strength"])]).values()
    lab.close()
    return score


def register(page: Page, portal: Portal, best: str, registered: str) -> None:
    page.goto(f"{portal.url}experiments/runs/{best}/")
    page.get_by_role("link", name="Register").first.click()
    page.wait_for_url(re.compile(r"/models/register/"))
    page.get_by_label("Name of the new model").fill(registered)
    page.get_by_label("Description").fill("Whether a customer leaves.")
    looked_at(page)
    page.get_by_role("button", name="Register model").click()
    page.wait_for_url(re.compile(rf"/models/{re.escape(registered)}/"))


def read_the_card(page: Page, portal: Portal, registered: str) -> None:
    page.goto(f"{portal.url}models/")
    looked_at(page)
    page.get_by_role("link", name=registered).first.click()
    expect(page.get_by_text("Whether a customer leaves.").first).to_be_visible()
    looked_at(page)


def predict(page: Page, portal: Portal, notebook: Notebook, registered: str, name: str) -> None:
    version = f"{portal.url}models/{registered}/1/"
    wait_for(lambda: page.goto(version) and "Reading its files" not in page.content(), 60, "the version's files")
    looked_at(page)
    page.get_by_role("link", name="Deploy").first.click()
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("main").get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    environment_id = re.search(r"[0-9a-f-]{36}", page.url)[0]  # type: ignore[index]
    Notebook(portal, notebook.token, environment_id, "", name).settled("running")
    began = time.monotonic()
    page.goto(version)
    for field, value in {"age": "0.4", "income": "-1.5", "visits": "0.2"}.items():
        page.get_by_role("spinbutton", name=field).fill(value)
    page.get_by_role("button", name="Send prediction").click()
    expect(page.get_by_role("heading", name="Answer")).to_be_visible(timeout=60_000)
    expect(page.locator("#predict")).to_contain_text(re.compile(r"predictions|\b[01]\b"))
    looked_at(page)
    assert time.monotonic() - began < 90
