"""A SageMaker notebook from its launch to its end, with the real AWS provider."""

import base64
import time

import pytest

from apps.provisioning.failures import failure_code
from tests.aws.world import TAGS, Account, TerraformRun, portal_values

SLUG = "aws-sagemaker-notebook"
pytestmark = [pytest.mark.aws_provider, pytest.mark.timeout(600)]


def tags_of(account: Account, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in account.client("sagemaker").list_tags(ResourceArn=arn)["Tags"]}


def test_a_notebook_is_launched_stopped_started_changed_and_destroyed(
    account: Account, terraform: TerraformRun
) -> None:
    terraform.module(SLUG)
    platform = account.platform_notebook
    sagemaker = account.client("sagemaker")
    name = "slipway-nb-life"

    terraform.values(portal_values(slug="nb-life") | platform)
    terraform.apply()
    made = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert made["NotebookInstanceStatus"] == "InService"
    assert (made["RoleArn"], made["SubnetId"]) == (platform["role_arn"], platform["subnet_id"])
    assert (made["SecurityGroups"], made["KmsKeyId"]) == (platform["security_group_ids"], platform["kms_key_id"])
    assert (made["DirectInternetAccess"], made["RootAccess"]) == ("Disabled", "Disabled")
    configuration = sagemaker.describe_notebook_instance_lifecycle_config(NotebookInstanceLifecycleConfigName=name)
    script = base64.b64decode(configuration["OnStart"][0]["Content"]).decode()
    assert "--minutes 60" in script
    for arn in (made["NotebookInstanceArn"], configuration["NotebookInstanceLifecycleConfigArn"]):
        assert tags_of(account, arn) == TAGS, arn
    assert terraform.output("address").endswith(f"#/notebook-instances/openNotebook/{name}?view=lab")
    assert terraform.output("running") is True
    assert "No changes" in terraform.plan()

    # Stopped: the disk stays, and planning again has nothing to do.
    terraform.values(portal_values(slug="nb-life", running=False) | platform)
    terraform.apply()
    assert account.status(name) == "Stopped"
    assert "No changes" in terraform.plan()

    # Started with another machine: the AWS provider changes what is stopped, then it is started.
    terraform.values(portal_values(slug="nb-life") | platform | {"instance_type": "ml.m5.xlarge"})
    terraform.apply()
    assert account.status(name) == "InService"

    # Behind Terraform's back, as the notebook itself does when it is idle: seen, said per attribute, put right.
    sagemaker.stop_notebook_instance(NotebookInstanceName=name)
    sagemaker.add_tags(ResourceArn=made["NotebookInstanceArn"], Tags=[{"Key": "slipway:team", "Value": "other"}])
    account.settled(name)
    seen = terraform.apply("-refresh-only")
    assert "running  = true -> false" in seen
    assert '"slipway:team" ' in seen
    assert terraform.output("running") is False
    terraform.apply()
    assert account.status(name) == "InService"
    assert tags_of(account, made["NotebookInstanceArn"]) == TAGS

    # A change while it runs: the AWS provider stops it first and starts it again after.
    terraform.values(portal_values(slug="nb-life") | platform | {"instance_type": "ml.t3.large", "volume_gb": 30})
    terraform.apply()
    changed = sagemaker.describe_notebook_instance(NotebookInstanceName=name)
    assert (changed["InstanceType"], changed["VolumeSizeInGB"]) == ("ml.t3.large", 30)
    assert changed["NotebookInstanceStatus"] == "InService"

    # Destroyed while it runs: the AWS provider stops what it deletes.
    terraform("destroy", "-auto-approve", "-no-color")
    left = sagemaker.list_notebook_instances(NameContains=name)["NotebookInstances"]
    assert left == []
    assert terraform.state() == {}


def test_without_the_platforms_settings_nothing_is_made(account: Account, terraform: TerraformRun) -> None:
    terraform.module(SLUG)
    terraform.values(portal_values(slug="nb-bare"))
    told = terraform.plan(code=1)
    assert "The platform has not said which role, KMS key, subnet and security groups notebooks get." in " ".join(
        told.replace("│", " ").split()
    )
    assert "cost_centre in a variable set" in " ".join(told.replace("│", " ").split())
    assert "CreateNotebookInstance" not in account.asked()[-5:]


@pytest.mark.matrix
def test_what_a_killed_launch_left_is_named_and_can_be_taken_over(account: Account, terraform: TerraformRun) -> None:
    terraform.module(SLUG)
    terraform.values(portal_values(slug="nb-kill") | account.platform_notebook)
    before = account.asked().count("CreateNotebookInstance")
    launch = terraform.start("apply", "-auto-approve", "-input=false", "-no-color")
    while account.asked().count("CreateNotebookInstance") == before:
        assert launch.poll() is None
        time.sleep(0.01)
    launch.kill()
    launch.communicate()
    assert account.settled("slipway-nb-kill") == "InService"
    assert "aws_sagemaker_notebook_instance.this" not in terraform.state()
    (terraform.work / ".terraform.tfstate.lock.info").unlink(missing_ok=True)

    told = " ".join(terraform.apply(code=1).split())
    assert "Cannot create a duplicate Notebook Instance" in told
    assert failure_code(told) == "provisioning:cloud-exists"
    assert "notebook-instance/slipway-nb-kill" in told

    (terraform.work / "slipway-imports.tf").write_text(
        'import {\n  to = aws_sagemaker_notebook_instance.this\n  id = "slipway-nb-kill"\n}\n'
    )
    terraform.apply()
    assert "No changes" in terraform.plan()
    terraform("destroy", "-auto-approve", "-no-color")
    names = account.client("sagemaker").list_notebook_instances()["NotebookInstances"]
    assert "slipway-nb-kill" not in {item["NotebookInstanceName"] for item in names}
