"""The guide's module: what people are told to write is read without advice, and its tests pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.catalog.interface import module_parse
from tests.contracts.conftest import ENGINES
from tests.guide_module import write_first, write_second

INSTALL = Path(__file__).parents[2] / "terraform" / "providers" / "local" / "install.py"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    write_first(tmp_path)
    return tmp_path / "notes"


def test_the_first_version_is_read_without_advice(module: Path) -> None:
    found = module_parse(module)
    assert (found.version, found.advice) == ("1.0.0", ())
    assert [variable.name for variable in found.inputs] == ["greeting"]
    assert sorted(path.relative_to(module).as_posix() for path in module.rglob("*") if path.is_file()) == [
        "README.md", "files/server.py", "main.tf", "module.yaml", "outputs.tf", "tests/notes.tftest.hcl",
        "variables.tf", "versions.tf",
    ]  # fmt: skip


def test_the_second_version_asks_for_one_thing_more(module: Path) -> None:
    write_second(module.parent)
    found = module_parse(module)
    assert (found.version, found.advice) == ("1.1.0", ())
    assert [variable.name for variable in found.inputs] == ["greeting", "readers_note"]


def test_its_tests_pass_and_fail_where_the_guide_says_so(module: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, INSTALL, tmp_path / "mirror"], check=True, capture_output=True)
    configuration = tmp_path / "terraform.rc"
    configuration.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{tmp_path}/mirror"\n  }}\n}}\n'
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TF_CLI_CONFIG_FILE": str(configuration)}

    def terraform(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [*ENGINES[0].argv, *arguments, "-no-color"]
        return subprocess.run(command, cwd=module, env=environ, capture_output=True, text=True)

    told = terraform("init")
    assert told.returncode == 0, told.stderr
    assert "2 passed, 0 failed" in terraform("test").stdout
    test = module / "tests" / "notes.tftest.hcl"
    test.write_text(test.read_text().replace('== "Notes"', '== "Hello"'))
    told = terraform("test")
    assert told.returncode == 1
    assert "The server does not get the greeting." in told.stdout + told.stderr
    write_second(module.parent)
    test.write_text(test.read_text().replace('== "Hello"', '== "Notes"'))
    assert "2 passed, 0 failed" in terraform("test").stdout
