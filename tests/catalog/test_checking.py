"""The checks of drafts, by real Terraform in the sandbox."""

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.modules import module_write, variable

pytestmark = pytest.mark.django_db

NAMED = """\
variable "size" {
  description = "About size."
  type        = number
  default     = 1
}
"""
MAIN = 'resource "terraform_data" "size" {\n  input = var.size\n}\n'
TEST = """\
run "small" {
  command = plan

  assert {
    condition     = terraform_data.size.input == 2
    error_message = "The size is another one."
  }
}
"""
LOUD = """\
output "many" {
  description = "Many."
  value       = [for n in range(1000) : join("", [for m in range(100) : "0123456789"])]
}
"""


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from apps.provisioning.agent.build import agent_build

    made = agent_build(root=tmp_path_factory.mktemp("agent"))
    made.machine.start()
    yield made
    made.machine.stop_services("the tests are done")
    made.machine.close()


@pytest.fixture
def checked(agent: Any, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Register a module as a draft and run its checks as the agent does; the checks by name."""
    from apps.catalog.models import ModuleSource
    from apps.catalog.services import module_version_register
    from apps.catalog.services.claims import Claimant
    from apps.provisioning.agent.checking import Checking

    def carry_out(variables: str = NAMED, manifest: str = "", **files: str) -> dict[str, Any]:
        path = module_write(tmp_path / "sample", variables, manifest, **files)
        origin = ModuleSource.objects.create(kind="upload", slug="sample")
        version, _ = module_version_register(path=path, slug="sample", actor=None, origin=origin, source="test")
        checking = Checking(
            root=agent.root, machine=agent.machine, engine=agent.engine, sandbox=agent.sandbox,
            environ={}, claimant=Claimant(uuid.uuid4(), 1), stopping=threading.Event(),
        )  # fmt: skip
        checking.look()
        assert not list((agent.root / "checks").glob("*"))
        return {check.name: check for check in version.checks.all()}

    return carry_out


def states(checks: dict[str, Any]) -> dict[str, str]:
    return {name: check.status for name, check in checks.items()}


def test_a_good_module_passes_and_one_without_tests_needs_none(checked: Callable[..., dict[str, Any]]) -> None:
    checks = checked(**{"main.tf": MAIN})
    assert states(checks) == {"fmt": "passed", "validate": "passed", "test": "skipped", "plan": "passed"}, [
        (check.summary, check.output) for check in checks.values()
    ]
    assert "terraform_data.size will be created" in checks["plan"].output
    assert checks["plan"].engine.startswith("terraform 1.")
    assert checks["plan"].started_at <= checks["plan"].finished_at


def test_tests_are_run_and_a_failing_one_is_named(checked: Callable[..., dict[str, Any]]) -> None:
    checks = checked(**{"main.tf": MAIN, "tests/size.tftest.hcl": TEST})
    assert states(checks) == {"fmt": "passed", "validate": "passed", "test": "failed", "plan": "passed"}
    assert "0 passed, 1 failed" in checks["test"].summary
    assert "The size is another one." in checks["test"].summary


def test_unformatted_files_and_invalid_ones_are_named(checked: Callable[..., dict[str, Any]]) -> None:
    checks = checked(**{"main.tf": 'resource "terraform_data" "size" {\n    input = var.sise\n}\n'})
    assert states(checks) == {"fmt": "failed", "validate": "failed", "test": "skipped", "plan": "failed"}
    assert "main.tf" in checks["fmt"].summary
    assert "main.tf line 2" in checks["validate"].summary
    assert "sise" in checks["validate"].summary


def test_a_provider_that_cannot_be_had_is_named(checked: Callable[..., dict[str, Any]]) -> None:
    versions = (
        'terraform {\n  required_version = ">= 1.9"\n  required_providers {\n    ghost = {\n'
        '      source = "nowhere.invalid/acme/ghost"\n    }\n  }\n}\n'
    )
    checks = checked(**{"versions.tf": versions, "main.tf": 'resource "ghost_thing" "x" {}\n'})
    assert states(checks)["validate"] == "failed"
    assert "provider nowhere.invalid/acme/ghost is in no mirror" in checks["validate"].summary
    assert checks["plan"].summary == checks["validate"].summary


def test_examples_stand_in_for_required_inputs(checked: Callable[..., dict[str, Any]]) -> None:
    named = variable("bucket", "string", rules=(('startswith(var.bucket, "s3")', "It begins with s3."),))
    checks = checked(
        named,
        "examples: {bucket: s3-data}\n",
        **{"main.tf": 'resource "terraform_data" "b" {\n  input = var.bucket\n}\n'},
    )
    assert states(checks)["plan"] == "passed"
    assert "s3-data" in checks["plan"].output


def test_an_input_that_needs_an_example_is_named(checked: Callable[..., dict[str, Any]]) -> None:
    named = variable("bucket", "string", rules=(('startswith(var.bucket, "s3")', "It begins with s3."),))
    checks = checked(named)
    assert states(checks)["plan"] == "failed"
    assert "“bucket”: It begins with s3. Give it a value under `examples`" in checks["plan"].summary


def test_portal_filled_variables_have_example_values(checked: Callable[..., dict[str, Any]]) -> None:
    given = variable("slipway", "object({ name = string, running = bool })") + variable(
        "slipway_secrets", "object({ mlflow_tracking_token = string })", "sensitive = true"
    )
    checks = checked(given, **{"main.tf": 'resource "terraform_data" "n" {\n  input = var.slipway.name\n}\n'})
    assert states(checks)["plan"] == "passed", checks["plan"].output


def test_endless_output_is_bounded(checked: Callable[..., dict[str, Any]]) -> None:
    checks = checked(**{"main.tf": LOUD})
    assert states(checks)["plan"] == "passed"
    assert len(checks["plan"].output) <= 64_000 + 200


def test_the_portal_is_not_readable_from_a_check(checked: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """`file()` and external programs see the sandbox only."""
    from django.conf import settings

    wanted = Path(settings.BASE_DIR) / "manage.py"
    main = f'output "stolen" {{\n  description = "Stolen."\n  value       = fileexists("{wanted}")\n}}\n'
    checks = checked(**{"main.tf": main})
    assert "stolen = false" in " ".join(checks["plan"].output.split())
