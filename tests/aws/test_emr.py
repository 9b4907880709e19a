"""An EMR cluster with the real AWS provider. Each creation and each end takes it half a minute of waiting."""

import time
from typing import Any

import pytest

from tests.aws.world import TAGS, Account, TerraformRun, portal_values

SLUG = "aws-emr-cluster"
pytestmark = [pytest.mark.aws_provider, pytest.mark.timeout(600)]


def cluster_of(account: Account, name: str) -> dict[str, Any] | None:
    """The living cluster of that name."""
    emr = account.client("emr")
    states = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"]
    found = [item["Id"] for item in emr.list_clusters(ClusterStates=states)["Clusters"] if item["Name"] == name]
    assert len(found) <= 1
    return emr.describe_cluster(ClusterId=found[0])["Cluster"] if found else None


def test_a_cluster_is_launched_as_asked_and_planned_again_without_changes(
    account: Account, terraform: TerraformRun
) -> None:
    terraform.module(SLUG)
    platform = account.platform_cluster
    terraform.values(
        portal_values(slug="sp-made") | platform | {"workers_least": 2, "workers_most": 6, "idle_minutes": 30}
    )
    terraform.apply()
    made = cluster_of(account, "slipway-sp-made")
    assert made is not None
    assert "Spark" in {item["Name"] for item in made["Applications"]}
    assert made["ServiceRole"] == platform["service_role"]
    assert made["Ec2InstanceAttributes"]["Ec2SubnetId"] == platform["subnet_id"]
    assert made["Ec2InstanceAttributes"]["IamInstanceProfile"] == platform["instance_profile"]
    assert made["SecurityConfiguration"] == platform["security_configuration"]
    assert {tag["Key"]: tag["Value"] for tag in made["Tags"]} == {
        **TAGS,
        "for-use-with-amazon-emr-managed-policies": "true",
    }
    emr = account.client("emr")
    limits = emr.get_managed_scaling_policy(ClusterId=made["Id"])["ManagedScalingPolicy"]["ComputeLimits"]
    assert (limits["MinimumCapacityUnits"], limits["MaximumCapacityUnits"]) == (2, 6)
    assert emr.get_auto_termination_policy(ClusterId=made["Id"])["AutoTerminationPolicy"]["IdleTimeout"] == 1800
    assert terraform.output("address").endswith(f"#/clusterDetails/{made['Id']}")
    assert "No changes" in terraform.plan()
    # Managed scaling moved it: no drift.
    core = next(
        group
        for group in emr.list_instance_groups(ClusterId=made["Id"])["InstanceGroups"]
        if group["Name"] == "workers"
    )
    emr.modify_instance_groups(InstanceGroups=[{"InstanceGroupId": core["Id"], "InstanceCount": 5}])
    assert "No changes" in terraform.plan()


@pytest.mark.matrix
def test_a_cluster_is_stopped_started_ends_behind_terraforms_back_and_is_destroyed(
    account: Account, terraform: TerraformRun
) -> None:
    terraform.module(SLUG)
    platform = account.platform_cluster
    name = "slipway-sp-life"
    terraform.values(portal_values(slug="sp-life") | platform)
    terraform.apply()
    first = cluster_of(account, name)
    assert first is not None

    # A stop terminates it, and what it was is gone from the state.
    terraform.values(portal_values(slug="sp-life", running=False) | platform)
    terraform.apply()
    assert cluster_of(account, name) is None
    assert terraform.state() == {}
    assert (terraform.output("running"), terraform.output("address")) == (False, "")
    assert terraform.output("log_uri") == platform["log_uri"]
    assert "No changes" in terraform.plan()

    # A start makes another one.
    terraform.values(portal_values(slug="sp-life") | platform)
    terraform.apply()
    second = cluster_of(account, name)
    assert second is not None
    assert second["Id"] != first["Id"]

    # EMR ends it by itself, because it was idle: seen, and made again by the next apply.
    account.client("emr").terminate_job_flows(JobFlowIds=[second["Id"]])
    time.sleep(1)
    terraform.apply("-refresh-only")
    assert "aws_emr_cluster.spark" not in terraform.state()
    assert terraform.output("running") is not True
    terraform.apply()
    third = cluster_of(account, name)
    assert third is not None

    # Its bounds moved behind Terraform's back: put right.
    emr = account.client("emr")
    policy = emr.get_managed_scaling_policy(ClusterId=third["Id"])["ManagedScalingPolicy"]
    policy["ComputeLimits"]["MaximumCapacityUnits"] = 400
    emr.put_managed_scaling_policy(ClusterId=third["Id"], ManagedScalingPolicy=policy)
    told = terraform.plan(code=2)
    assert "must be replaced" in told
    assert "maximum_capacity_units          = 400" in told

    terraform("destroy", "-auto-approve", "-no-color")
    assert cluster_of(account, name) is None


def test_without_the_platforms_settings_nothing_is_made(account: Account, terraform: TerraformRun) -> None:
    terraform.module(SLUG)
    terraform.values(portal_values(slug="sp-bare"))
    told = " ".join(terraform.plan(code=1).replace("│", " ").split())
    assert "The platform has not said which roles, subnet and place for logs clusters get." in told
    assert "The platform has not said how clusters are encrypted." in told
    assert "RunJobFlow" not in account.asked()[-5:]
