"""A SageMaker notebook from the page: the real AWS provider in the agent's sandbox, an AWS account of moto's."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import Browser, Page, Request, expect

from tests.aws.ran import note
from tests.aws.world import Account, provider_mirrored
from tests.e2e.conftest import Portal, sign_in

SLUG = "aws-sagemaker-notebook"
NAME = "AWS"
pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(600), pytest.mark.aws_provider]
SLOW = 180_000
CONSOLE = "https://us-east-1.console.aws.amazon.com/"


def leads_out(request: Request) -> bool:
    return request.url.startswith(CONSOLE)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    if not provider_mirrored(tmp_path_factory.mktemp("none")):
        pytest.skip(
            "terraform-provider-aws is in no filesystem mirror of this machine (SLIPWAY_TF_MIRROR names another)"
        )
    started = Account(tmp_path_factory.mktemp("aws"))
    started.start()
    yield started
    started.stop()


def variable_set(portal: Portal, account: Account) -> None:
    """What the platform engineer sets up, once: credentials, region, role, network, key, cost centre."""
    token = portal.token("pete")
    known: Any = portal.get("api/v1/variable-sets/?target=aws", token)[1]["results"]
    for left in known:  # By a journey before, on a portal that is used again.
        if left["name"].startswith(NAME):
            portal.call("DELETE", f"api/v1/variable-sets/{left['id']}/", None, token)
    asked = {"name": f"{NAME} {uuid.uuid4().hex[:6]}", "target": "aws", "module": SLUG}
    status, made = portal.call("POST", "api/v1/variable-sets/", asked, token)
    assert status == 201, made
    url = f"api/v1/variable-sets/{made['id']}/variables/"
    for name, value in account.environment.items():
        given = {"name": name, "kind": "environment", "value": value, "sensitive": "KEY" in name}
        status, answer = portal.call("POST", url, given, token)
        assert status == 201, answer
    for name, value in account.platform_notebook.items():
        given = {"name": name, "kind": "terraform", "value": value, "sensitive": False}
        status, answer = portal.call("POST", url, given, token)
        assert status == 201, answer


def test_a_sagemaker_notebook_from_the_page(portal: Portal, browser: Browser, account: Account) -> None:
    note("tests/e2e/test_sagemaker.py::test_a_sagemaker_notebook_from_the_page")
    variable_set(portal, account)
    token = portal.token("dana")
    page = sign_in(browser, portal, "dana")
    sagemaker = account.client("sagemaker")

    # Launched without being asked for anything that is the platform's.
    page.goto(f"{portal.url}environments/launch/{SLUG}/")
    form = page.locator("main form").first
    asked = form.locator("input, select, textarea").evaluate_all("all => all.map(one => one.name)")
    assert not {name for name in asked if re.search(r"role|kms|subnet|security_group|cost_centre|tags", name)}, asked
    name = f"study {uuid.uuid4().hex[:4]}"
    form.locator("input[name=name]").fill(name)
    page.get_by_label("Open when ready").uncheck()
    form.get_by_role("button", name="Launch").click()
    page.wait_for_url(re.compile(r"/environments/[0-9a-f-]{36}/"))
    environment_id = re.search(r"[0-9a-f-]{36}", page.url)[0]  # type: ignore[index]
    expect(page.get_by_role("link", name="Open JupyterLab").first).to_be_visible(timeout=SLOW)
    environment = portal.get(f"api/v1/environments/{environment_id}/", token)[1]
    notebook = f"slipway-{environment['slug']}"
    made = sagemaker.describe_notebook_instance(NotebookInstanceName=notebook)
    assert made["NotebookInstanceStatus"] == "InService"
    tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=made["NotebookInstanceArn"])["Tags"]}
    assert (tags["slipway:environment"], tags["slipway:user"], tags["slipway:team"]) == (
        environment_id,
        "dana",
        environment["team"],
    )
    assert tags["cost-centre"] == "cc-4711"

    # Opened at its own address, outside the portal: the click leads there, whatever answers.
    answer = page.request.get(f"{portal.url}environments/{environment_id}/open/", max_redirects=0)
    place = f"{CONSOLE}sagemaker/home?region=us-east-1#/notebook-instances/openNotebook/{notebook}?view=lab"
    assert (answer.status, answer.headers["location"]) == (302, place)
    with page.context.expect_event("request", leads_out, timeout=30_000):
        page.get_by_role("link", name="Open JupyterLab").first.click()
    for tab in page.context.pages[1:]:
        tab.close()
    page.bring_to_front()

    # Stopped and started.
    page.get_by_role("button", name="Stop").first.click()
    expect(page.get_by_text("Stopped, files kept").first).to_be_visible(timeout=SLOW)
    assert account.status(notebook) == "Stopped"
    _start_and_open(page, portal, environment_id)
    assert account.status(notebook) == "InService"
    _stopped_by_itself(page, portal, account, environment_id, notebook)

    # Destroyed; nothing of it is left in the account, and no secret in the log.
    page.goto(f"{portal.url}environments/{environment_id}/destroy/")
    page.locator("main input[name=confirm]").fill(name)
    page.locator("main form:has(input[name=confirm]) button[type=submit]").click()
    expect(page.get_by_text("Destroyed", exact=True).first).to_be_visible(timeout=SLOW)
    assert portal.get(f"api/v1/environments/{environment_id}/", token)[1]["status"] == "destroyed"
    assert sagemaker.list_notebook_instances(NameContains=notebook)["NotebookInstances"] == []
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=notebook)
    for file in (Path(portal.data) / "logs").rglob("*"):
        if file.is_file():
            assert account.environment["AWS_SECRET_ACCESS_KEY"].encode() not in file.read_bytes(), file


def _start_and_open(page: Page, portal: Portal, environment_id: str) -> None:
    """One button starts it, and the tab moves on to AWS once it runs."""
    with page.context.expect_event("request", leads_out, timeout=SLOW):
        page.get_by_role("button", name="Start and open").first.click()
    # Where there is no network the tab is on its way to an error page, which may come in between.
    page.wait_for_timeout(1000)
    page.goto(f"{portal.url}environments/{environment_id}/")


def _stopped_by_itself(page: Page, portal: Portal, account: Account, environment_id: str, notebook: str) -> None:
    """Idle stop: seen by a check, said on the page, started again by the same button."""
    account.client("sagemaker").stop_notebook_instance(NotebookInstanceName=notebook)
    account.settled(notebook)
    token = portal.token("dana")
    status, told = portal.call("POST", f"api/v1/environments/{environment_id}/refresh/", {}, token)
    assert status in (200, 202), told
    expect(page.get_by_text("Stopped, files kept").first).to_be_visible(timeout=SLOW)
    _start_and_open(page, portal, environment_id)
    assert account.status(notebook) == "InService"
