"""The AWS modules under the real AWS provider, against a stand-in for an account: see `account.py` for what is moto's.

Where the machine has no AWS provider in a filesystem mirror, the tests of this folder that need one are skipped by
name; `.ci/run` fails where it has one and they did not run.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws.ran import note
from tests.aws.world import Account, TerraformRun, provider_mirrored


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("aws_provider")]
    if marked and not provider_mirrored(Path(config.rootpath) / "no-plugins"):
        reason = "terraform-provider-aws is in no filesystem mirror of this machine (SLIPWAY_TF_MIRROR names another)"
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def noted(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("aws_provider"):
        note(request.node.nodeid)


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    started = Account(tmp_path_factory.mktemp("aws"))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def terraform(account: Account, tmp_path: Path) -> TerraformRun:
    return TerraformRun(tmp_path, account.environment)
