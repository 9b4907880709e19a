"""That a run in which the AWS tests were left out is noticed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.aws import ran
from tests.aws.world import ROOT


def test_what_is_required_exists() -> None:
    for name in ran.REQUIRED:
        path, _, function = name.partition("::")
        assert re.search(rf"^def {function}\(", (ROOT / path).read_text(), re.MULTILINE), name


def test_left_out_tests_are_named_where_there_is_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mirror/registry.terraform.io/hashicorp/aws").mkdir(parents=True)
    monkeypatch.setenv("SLIPWAY_TF_MIRROR", str(tmp_path / "mirror"))
    begun = tmp_path / "begun"
    assert ran.missing(begun) == list(ran.REQUIRED)
    monkeypatch.setenv(ran.VARIABLE, str(begun))
    for name in ran.REQUIRED[1:]:
        ran.note(name)
    assert ran.missing(begun) == [ran.REQUIRED[0]]
    told = subprocess.run([sys.executable, "-m", "tests.aws.ran", str(begun)], cwd=ROOT, capture_output=True, text=True)
    assert told.returncode == 1
    assert ran.REQUIRED[0] in told.stdout
    ran.note(ran.REQUIRED[0])
    assert ran.main(str(begun)) == 0


def test_a_machine_without_a_provider_wants_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ran, "provider_mirrored", lambda plugins: False)
    assert ran.missing(tmp_path / "begun") == []
