"""The agent killed in the middle of a check of a module: the next one ends it, and nothing is left of the first."""

import io
import random
import tarfile
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.modules import module_write
from tests.faults import processes
from tests.faults.portal_under_fault import PortalUnderFault, wait, wait_for
from tests.faults.processes import Process

pytestmark = [pytest.mark.e2e, pytest.mark.matrix, pytest.mark.timeout(300)]

SLOW = """resource "terraform_data" "slow" {{
  provisioner "local-exec" {{
    command = "sleep {seconds}"
  }}
}}
"""
TESTED = 'run "it_can_be_built" {\n  command = apply\n}\n'
ENDED = ("passed", "failed", "skipped")


class Upload:
    """A draft of a module whose test takes some seconds, sent as a platform engineer sends it."""

    def __init__(self, portal: PortalUnderFault, folder: Path) -> None:
        self.portal = portal
        self.slug = f"slow-{uuid.uuid4().hex[:6]}"
        # A length of its own, so that the process is told from every other.
        self.seconds = f"6.{random.randrange(10**8):08}"
        files = {"main.tf": SLOW.format(seconds=self.seconds), "tests/slow.tftest.hcl": TESTED}
        module_write(folder / self.slug, **files)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            archive.add(folder / self.slug, arcname=".")
        self._send(packed.getvalue())

    def _send(self, archive: bytes) -> None:
        edge = uuid.uuid4().hex
        head = f'--{edge}\r\nContent-Disposition: form-data; name="slug"\r\n\r\n{self.slug}\r\n--{edge}\r\n'
        head += 'Content-Disposition: form-data; name="archive"; filename="slow.tar.gz"\r\n'
        body = f"{head}Content-Type: application/gzip\r\n\r\n".encode() + archive + f"\r\n--{edge}--\r\n".encode()
        headers = {
            "Authorization": f"Bearer {self.portal.portal.token('pete')}",
            "Content-Type": f"multipart/form-data; boundary={edge}",
        }
        address = f"{self.portal.portal.url}api/v1/module-uploads/"
        with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=30) as answer:
            assert answer.status == 201

    def checks(self) -> dict[str, dict[str, Any]]:
        rows = self.portal.rows(
            "SELECT c.* FROM catalog_versioncheck c JOIN catalog_moduleversion v ON v.id = c.version_id"
            " JOIN catalog_module m ON m.id = v.module_id WHERE m.slug = %s",
            self.slug,
        )
        return {row["name"]: row for row in rows}

    def sleeping(self) -> Process | None:
        """What the module's test has started."""
        found = (one for one in processes.processes_all() if one.command == ("sleep", self.seconds))
        return next(found, None)


@pytest.mark.parametrize("whole", [False, True], ids=["the agent alone", "with all it has started"])
def test_a_check_whose_agent_is_killed_is_run_again(broken: PortalUnderFault, tmp_path: Path, whole: bool) -> None:
    upload = Upload(broken, tmp_path)
    first = wait_for(upload.sleeping, 90, "the module's test runs", broken)
    assert upload.checks()["test"]["status"] == "running"
    agent = broken.child("agent")
    for victim in [agent, *(processes.descendants(agent.pid) if whole else [])]:
        victim.kill()
    agent.wait_gone()
    broken.child_wait("agent", other_than=agent)
    wait(lambda: all(row["status"] in ENDED for row in upload.checks().values()), 150, "every check has ended", broken)
    checks = upload.checks()
    assert {name: row["status"] for name, row in checks.items()} == dict.fromkeys(
        ("fmt", "validate", "test", "plan"), "passed"
    )
    assert all(row["summary"] and row["finished_at"] for row in checks.values())
    # Only what was interrupted was begun again.
    assert {name: row["attempt"] for name, row in checks.items()} == {"fmt": 1, "validate": 1, "test": 2, "plan": 1}
    first.wait_gone()
    assert upload.sleeping() is None
    wait(lambda: not list((broken.agent_root / "checks").glob("*")), 20, "nothing is left of the checks", broken)
    assert "Running" not in broken.page(f"modules/{upload.slug}/versions/1.0.0/", who="pete").split("<main")[1]
