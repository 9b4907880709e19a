"""The security scanners of `make lint`: the rules find their examples, findings fail, exceptions say why."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import security  # noqa: E402
from packages import tools_ensure  # noqa: E402
from steps import StepFailed  # noqa: E402


@pytest.fixture(scope="module")
def tools() -> Path:
    return tools_ensure()


def test_every_rule_finds_its_example_and_leaves_the_good_one_alone(tools: Path) -> None:
    assert "All tests passed" in security.semgrep_test(tools)


def test_every_rule_has_an_example() -> None:
    import yaml

    for rules in sorted(security.RULES.glob("*.yaml")):
        example = next(path for path in security.RULES.glob(f"{rules.stem}.*") if path.suffix != ".yaml")
        for rule in yaml.safe_load(rules.read_text())["rules"]:
            assert f"ruleid: {rule['id']}" in example.read_text(), rule["id"]


def test_exceptions_say_why(tmp_path: Path) -> None:
    assert security.exceptions_read(security.EXCEPTIONS)
    silent = tmp_path / "security.toml"
    silent.write_text('[[exception]]\nrule = "bandit:B608"\npath = "x.py"\nreason = "fine"\n')
    with pytest.raises(StepFailed, match="does not say why"):
        security.exceptions_read(silent)


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """`checked(findings, exceptions)` -> (how many failed, what was printed), with the tools left out."""

    def run(findings: list[security.Finding], exceptions: str = "") -> tuple[int, str]:
        file = tmp_path / "security.toml"
        file.write_text(exceptions)
        monkeypatch.setattr(security, "EXCEPTIONS", file)
        monkeypatch.setattr(security, "tools_ensure", lambda: tmp_path)
        for name in ("_semgrep", "_pip_audit", "_npm_audit"):
            monkeypatch.setattr(security, name, lambda tools: ([], []))
        monkeypatch.setattr(security, "_bandit", lambda tools: (findings, ["a note"]))
        return security.security_check(), capsys.readouterr().out

    return run


FOUND = security.Finding("bandit:B608", "apps/x.py", 3, 'execute(f"SELECT {x}")', "SQL")
ACCEPTED = '[[exception]]\nrule = "bandit:B608"\npath = "apps/*.py"\ncode = "SELECT"\nreason = "only our own names"\n'


def test_finding_fails_and_an_explained_one_does_not(checked: Any) -> None:
    assert checked([])[0] == 0
    failed, told = checked([FOUND])
    assert failed == 1
    assert "apps/x.py:3: bandit:B608" in told
    assert "a note" in told
    assert checked([FOUND], ACCEPTED)[0] == 0


def test_exception_that_nothing_needs_fails(checked: Any) -> None:
    failed, told = checked([], ACCEPTED)
    assert failed == 1
    assert "nothing needs the exception" in told


def told_by(monkeypatch: pytest.MonkeyPatch, *answers: str) -> tuple[list[security.Finding], list[str]]:
    """What `_pip_audit` makes of the tool's answers, PyPI's and then OSV's."""
    left = list(answers)
    monkeypatch.setattr(
        security, "_run", lambda command, **options: subprocess.CompletedProcess(command, 1, left.pop(0), "")
    )
    found: tuple[list[security.Finding], list[str]] = security._pip_audit(Path("."))
    return found


def test_known_vulnerability_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"name": "x", "version": "1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}]}
    found, notes = told_by(monkeypatch, json.dumps({"dependencies": [row]}))
    assert [(one.rule, one.code) for one in found] == [("PYSEC-1", "x==1")]
    assert "PyPI told of 1 of 1" in notes[0]


def test_source_that_knows_nothing_is_named_and_the_next_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip-audit ends well when every package was skipped: that must not look like a clean bill."""
    skipped = json.dumps({"dependencies": [{"name": "x", "skip_reason": "not found on PyPI"}]})
    found, notes = told_by(monkeypatch, skipped, "a traceback")
    assert found == []
    assert any("PyPI told nothing of any of 1" in note for note in notes)
    assert any("OSV could not be asked" in note for note in notes)
    assert "nothing is known" in notes[-1]


def test_locks_name_no_index() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert "--index-url" not in lock.read_text()
        assert "--find-links" not in lock.read_text()
