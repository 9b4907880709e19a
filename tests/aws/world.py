"""The stand-in account, what a platform team has in it, and Terraform as a person would run it against the account."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3

from apps.provisioning.engine import engine_select
from apps.provisioning.terraform_environment import mirrors_found, rc_text

ROOT = Path(__file__).resolve().parents[2]
MODULES = ROOT / "terraform" / "modules"
INSTALL = ROOT / "terraform" / "providers" / "local" / "install.py"
PROVIDER = "hashicorp/aws"
# moto reads EMR's region from the host name only, and so takes this one for every other.
REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE0STANDIN0", "AWS_SECRET_ACCESS_KEY": "stand-in-secret-4f0c"}
ENVIRONMENT_ID = "6f1c0c1e-7a50-4ad0-9a44-6f2f6b0d1b57"


def provider_mirrored(plugins: Path) -> bool:
    """Whether the real AWS provider is on this machine, found as the agent finds it."""
    return any(
        address.endswith(f"/{PROVIDER}") for found in mirrors_found(os.environ, plugins).values() for address in found
    )


@dataclass
class Account:
    """A server of `tests.aws.account`, and what a platform engineer has made in the account beforehand."""

    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    clients: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "tests.aws.account", str(self.port)], cwd=ROOT, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, "moto did not start"
                time.sleep(0.1)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    @property
    def log(self) -> Path:
        return self.folder / "account.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a variable set gives Terraform: credentials, region, and here the address of the stand-in."""
        return {**KEYS, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": self.url}

    def client(self, service: str) -> Any:
        """For what happens behind Terraform's back."""
        if service not in self.clients:
            keys = {
                "aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
                "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"],
            }
            self.clients[service] = boto3.client(service, region_name=REGION, endpoint_url=self.url, **keys)
        return self.clients[service]

    def asked(self) -> list[str]:
        """Operations that were asked of AWS so far, in order."""
        lines = self.log.read_text().splitlines()
        return [line.split()[0] for line in lines if len(line.split()) == 2 and line.split()[1].isdigit()]

    def status(self, notebook: str) -> str:
        answer = self.client("sagemaker").describe_notebook_instance(NotebookInstanceName=notebook)
        return str(answer["NotebookInstanceStatus"])

    def settled(self, notebook: str) -> str:
        while self.status(notebook) in ("Pending", "Stopping", "Updating"):
            time.sleep(0.1)
        return self.status(notebook)

    @cached_property
    def network(self) -> dict[str, Any]:
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        groups = [
            ec2.create_security_group(GroupName=f"slipway-{name}", Description=name, VpcId=vpc)["GroupId"]
            for name in ("notebooks", "primary", "workers")
        ]
        return {"subnet": subnet, "groups": groups}

    @cached_property
    def platform_notebook(self) -> dict[str, Any]:
        """The Terraform variables that a variable set gives to SageMaker notebooks."""
        key = self.client("kms").create_key(Description="notebooks")["KeyMetadata"]["Arn"]
        return {
            "role_arn": "arn:aws:iam::123456789012:role/slipway-notebooks",
            "subnet_id": self.network["subnet"],
            "security_group_ids": self.network["groups"][:1],
            "kms_key_id": key,
            "cost_centre": "cc-4711",
        }

    @cached_property
    def platform_cluster(self) -> dict[str, Any]:
        """Those that it gives to EMR clusters."""
        return {
            "service_role": "arn:aws:iam::123456789012:role/slipway-emr",
            "instance_profile": "slipway-emr-nodes",
            "subnet_id": self.network["subnet"],
            "primary_security_group_id": self.network["groups"][1],
            "worker_security_group_id": self.network["groups"][2],
            "log_uri": "s3://slipway-logs/emr/",
            "security_configuration": "slipway",
            "cost_centre": "cc-4711",
        }


class TerraformRun:
    """A module in a folder of its own with the values of one environment."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        plugins = folder / "plugins"
        subprocess.run([sys.executable, str(INSTALL), str(plugins)], check=True, capture_output=True)
        (folder / "terraform.rc").write_text(rc_text(mirrors_found(os.environ, plugins)))
        self.work = folder / "work"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TF_CLI_CONFIG_FILE": str(folder / "terraform.rc"),
            "CHECKPOINT_DISABLE": "1",
            "TF_IN_AUTOMATION": "1",
            # Only its other resources ask an agent.
            "SLIPWAY_AGENT_SOCKET": str(folder / "no-agent"),
            "SLIPWAY_AGENT_TOKEN": "none",
            # Where the stand-in lacks an operation, it is told at once and not after half an hour of asking again.
            "AWS_MAX_ATTEMPTS": "2",
            **environment,
        }
        self.argv = list(engine_select({"PATH": os.environ["PATH"]}).argv)

    def module(self, slug: str) -> None:
        """The module's Terraform files, and no state."""
        self.work.mkdir(exist_ok=True)
        subprocess.run(["cp", "-r", f"{MODULES / slug}/.", str(self.work)], check=True)
        self("init", "-no-color")

    def text(self, hcl: str) -> None:
        self.work.mkdir(exist_ok=True)
        (self.work / "main.tf").write_text(hcl)
        self("init", "-no-color")

    def values(self, given: dict[str, Any]) -> None:
        (self.work / "terraform.tfvars.json").write_text(json.dumps(given))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        done = self.start(*arguments)
        out, _ = done.communicate(timeout=170)
        assert done.returncode == code, out
        return str(out)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.argv, *arguments],
            cwd=self.work,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def apply(self, *more: str, code: int = 0) -> str:
        return self("apply", "-auto-approve", "-input=false", "-no-color", *more, code=code)

    def plan(self, *more: str, code: int = 0) -> str:
        return self("plan", "-input=false", "-no-color", "-detailed-exitcode", *more, code=code)

    def state(self) -> dict[str, dict[str, Any]]:
        """Attributes by address."""
        told = json.loads((self.work / "terraform.tfstate").read_text())
        return {
            f"{entry['type']}.{entry['name']}": instance["attributes"]
            for entry in told["resources"]
            if entry["mode"] == "managed"
            for instance in entry["instances"]
        }

    def output(self, name: str) -> Any:
        told = json.loads((self.work / "terraform.tfstate").read_text())
        return told["outputs"].get(name, {}).get("value")


def portal_values(*, slug: str, running: bool = True, name: str = "Größe & co") -> dict[str, Any]:
    """What the portal fills in."""
    return {
        "slipway": {
            "environment_id": ENVIRONMENT_ID,
            "name": name,
            "slug": slug,
            "team": "research",
            "owner": "ada",
            "running": running,
        }
    }


TAGS = {
    "slipway:environment": ENVIRONMENT_ID,
    "slipway:name": "Größe - co",
    "slipway:team": "research",
    "slipway:user": "ada",
    "cost-centre": "cc-4711",
}
