"""Data folders with names that programs stumble over."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Bench


@pytest.fixture
def root() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="sl m-"))
    yield path / "agent"
    shutil.rmtree(path, ignore_errors=True)


def test_services_start_in_a_folder_with_a_space_in_its_path(bench: Bench) -> None:
    service = bench.service()
    assert bench.get(service)
