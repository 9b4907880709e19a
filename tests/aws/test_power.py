"""slipway_sagemaker_power by itself: a notebook that something else made, stopped, started, lost, refused."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.world import REGION, Account, TerraformRun

MODULE = """
terraform {
  required_providers {
    slipway = {
      source = "slipway.local/slipway/slipway"
    }
  }
}

variable "running" {
  type = bool
}

resource "slipway_sagemaker_power" "this" {
  notebook = "%s"
  running  = var.running
}
"""


@pytest.fixture
def notebook(account: Account, tmp_path: Path) -> Iterator[str]:
    name = f"by-hand-{tmp_path.name[-24:]}".replace("_", "-")
    account.client("sagemaker").create_notebook_instance(
        NotebookInstanceName=name, InstanceType="ml.t3.medium", RoleArn="arn:aws:iam::123456789012:role/x"
    )
    account.settled(name)
    yield name
    if account.status(name) == "InService":
        account.client("sagemaker").stop_notebook_instance(NotebookInstanceName=name)
        account.settled(name)
    account.client("sagemaker").delete_notebook_instance(NotebookInstanceName=name)


@pytest.fixture
def power(terraform: TerraformRun, notebook: str) -> TerraformRun:
    terraform.text(MODULE % notebook)
    return terraform


def switch(terraform: TerraformRun, running: bool, code: int = 0) -> str:
    terraform.values({"running": running})
    return terraform.apply(code=code)


def test_stops_starts_and_sees_what_others_did(account: Account, power: TerraformRun, notebook: str) -> None:
    switch(power, False)
    assert account.status(notebook) == "Stopped"
    assert power.state()["slipway_sagemaker_power.this"]["status"] == "Stopped"
    assert "No changes" in power.plan()
    account.client("sagemaker").start_notebook_instance(NotebookInstanceName=notebook)
    # On its way as well: it gets there first, and then is stopped.
    assert "running  = true -> false" in power.plan(code=2)
    switch(power, False)
    assert account.status(notebook) == "Stopped"
    switch(power, True)
    assert account.status(notebook) == "InService"
    # Destroying it leaves the notebook as it is.
    power("destroy", "-auto-approve", "-no-color")
    assert account.status(notebook) == "InService"


@pytest.mark.matrix
def test_is_imported(account: Account, power: TerraformRun, notebook: str) -> None:
    power.values({"running": True})
    power("import", "-no-color", "slipway_sagemaker_power.this", notebook)
    assert "No changes" in power.plan()
    assert power.state()["slipway_sagemaker_power.this"]["id"] == f"{REGION}/{notebook}"
    power("state", "rm", "slipway_sagemaker_power.this")
    refused = power("import", "-no-color", "slipway_sagemaker_power.this", "none", code=1)
    assert "There is no such notebook instance" in refused


@pytest.mark.matrix
def test_a_notebook_that_is_gone_is_planned_again_and_named(account: Account, terraform: TerraformRun) -> None:
    terraform.text(MODULE % "never-made")
    told = " ".join(switch(terraform, True, code=1).replace("│", " ").split())
    assert "SageMaker notebook never-made could not start: There is no such notebook instance" in told
    assert f"never-made is not in {REGION}." in told
    assert terraform.state() == {}


@pytest.mark.matrix
def test_an_interrupt_waits_for_the_call_and_keeps_the_state(
    account: Account, power: TerraformRun, notebook: str
) -> None:
    power.values({"running": False})
    before = account.asked().count("StopNotebookInstance")
    running = power.start("apply", "-auto-approve", "-input=false", "-no-color")
    while account.asked().count("StopNotebookInstance") == before:
        assert running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert account.status(notebook) == "Stopped", out
    assert power.state()["slipway_sagemaker_power.this"]["status"] == "Stopped", out


@pytest.mark.parametrize(
    ("left_out", "told"),
    [("AWS_SECRET_ACCESS_KEY", "There are no AWS credentials"), ("AWS_REGION", "No AWS region is set")],
)
def test_what_the_variable_set_lacks_is_said(power: TerraformRun, left_out: str, told: str) -> None:
    del power.environment[left_out]
    assert told in switch(power, False, code=1)


def test_an_account_that_does_not_answer_is_said(power: TerraformRun) -> None:
    power.environment["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
    assert "AWS could not be asked for sagemaker" in switch(power, False, code=1)
