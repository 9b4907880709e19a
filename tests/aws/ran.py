"""`python -m tests.aws.ran FILE`: fails where this machine has the AWS provider and a test that needs it did not run.

`.ci/run` names the file in SLIPWAY_AWS_RAN; the tests write into it that they have begun, whatever came of it. A test
that failed has failed the run already; one that was skipped, deselected or lost would go unseen.
"""

import os
import sys
import tempfile
from pathlib import Path

from tests.aws.world import provider_mirrored

VARIABLE = "SLIPWAY_AWS_RAN"
# Of `make test`; the long ones are `make test-all`'s.
REQUIRED = (
    "tests/aws/test_sagemaker.py::test_a_notebook_is_launched_stopped_started_changed_and_destroyed",
    "tests/aws/test_sagemaker.py::test_without_the_platforms_settings_nothing_is_made",
    "tests/aws/test_emr.py::test_a_cluster_is_launched_as_asked_and_planned_again_without_changes",
    "tests/aws/test_emr.py::test_without_the_platforms_settings_nothing_is_made",
)


def note(nodeid: str) -> None:
    """A test that needs the provider has begun."""
    if path := os.environ.get(VARIABLE):
        with Path(path).open("a") as file:
            file.write(f"{nodeid}\n")


def missing(ran: Path) -> list[str]:
    """Tests that should have run and did not; none where the machine has no provider."""
    if not provider_mirrored(Path(tempfile.gettempdir()) / "no-plugins"):
        return []
    begun = set(ran.read_text().splitlines()) if ran.exists() else set()
    return [name for name in REQUIRED if name not in begun]


def main(path: str) -> int:
    left_out = missing(Path(path))
    for name in left_out:
        print(f"did not run, though the AWS provider is on this machine: {name}")
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
