"""Every part of the bench in its quick mode, on a real portal: one run of several minutes, in the long suite only."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.matrix
@pytest.mark.e2e
@pytest.mark.timeout(1200)
def test_every_part_measures_something() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick"], cwd=ROOT, capture_output=True, text=True, timeout=1100
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    rows = [line.split("|")[1].strip() for line in done.stdout.splitlines() if line.startswith("| ")]
    # JupyterHub is measured where it can be installed.
    every = {"up", "memory", "click", "start", "many", "proxy", "pages", "curves", "experiments"}
    assert set(rows) - {"Part", "hub"} == every


def test_an_unknown_part_is_refused() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "nothing"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "unknown: nothing" in done.stderr
