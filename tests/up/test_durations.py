"""The order in which `make test` hands out the files."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import durations

ROOT = Path(__file__).parents[2]


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list made from the report of a run."""
    cases = [("b", 30), ("a", 6), ("a", 6.4), ("c", 9)]
    lines = [f'<testcase file="tests/{name}.py" time="{seconds}"/>' for name, seconds in cases]
    (tmp_path / "run.xml").write_text(f"<testsuites><testsuite>{''.join(lines)}</testsuite></testsuites>", "utf-8")
    monkeypatch.setattr(durations, "LIST", tmp_path / "durations.txt")
    durations.write([str(tmp_path / "run.xml")])
    return tmp_path / "durations.txt"


def test_every_long_file_is_there() -> None:
    assert [path for path in durations.long_files() if not (ROOT / path).is_file()] == []


def test_the_list_sums_up_files_and_leaves_short_ones_out(listed: Path) -> None:
    assert listed.read_text("utf-8") == "30 tests/b.py\n12 tests/a.py\n"


def test_long_files_come_first_and_others_keep_their_order(listed: Path) -> None:
    names = ["z.py::one", "a.py::one", "a.py::two", "c.py::one", "b.py::one[x::y]"]
    items: list[Any] = [SimpleNamespace(nodeid=f"tests/{name}") for name in names]
    durations.longest_first(items)
    ordered = [item.nodeid.removeprefix("tests/") for item in items]
    assert ordered == ["b.py::one[x::y]", "a.py::one", "a.py::two", "z.py::one", "c.py::one"]
