"""The steps before anything is installed; the installation itself is what every test run starts with."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import assets
    import packages
    import steps

    return {"assets": assets, "packages": packages, "steps": steps}


def test_one_requirement_is_taken_from_a_lock_with_its_hashes(scripts: dict[str, ModuleType]) -> None:
    text = scripts["packages"].requirement_of(ROOT / "requirements.lock", "uv")
    assert text.startswith("uv==")
    assert "--hash=sha256:" in text
    assert text.count("==") == 1


def test_the_locks_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock", "package-lock.json"):
        assert "://" not in (ROOT / name).read_text(encoding="utf-8").replace("https://opencollective.com", "").replace(
            "https://github.com/sponsors", ""
        ), name


def test_a_second_run_installs_nothing(
    scripts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    packages, steps = scripts["packages"], scripts["steps"]
    commands: list[str] = []
    monkeypatch.setattr(packages, "STAMP", tmp_path / "stamp.json")
    monkeypatch.setattr(packages, "_install", lambda lock: commands.append(lock.name))
    monkeypatch.setattr(packages, "_environment_usable", lambda stamp: True)
    for _ in range(2):
        packages.packages_ensure("run")
    assert commands == ["requirements.lock"]
    packages.packages_ensure("dev")
    packages.packages_ensure("run")
    assert commands == ["requirements.lock", "requirements-dev.lock"], "`make up` must not take the tests' tools away"
    assert steps.stamp_read(tmp_path / "stamp.json")["level"] == "dev"


def test_half_a_stamp_is_no_stamp(scripts: dict[str, ModuleType], tmp_path: Path) -> None:
    (tmp_path / "stamp.json").write_text('{"identity": "ab', encoding="utf-8")
    assert scripts["steps"].stamp_read(tmp_path / "stamp.json") == {}


def test_every_served_file_is_there_and_the_sprite_holds_every_icon(scripts: dict[str, ModuleType]) -> None:
    assets = scripts["assets"]
    for name in assets.COPIES.values():
        assert (assets.VENDOR / name).stat().st_size > 1000
    sprite = (assets.VENDOR / "icons" / "sprite.svg").read_text(encoding="utf-8")
    for name in assets.ICON_NAMES.read_text(encoding="utf-8").split():
        assert f'id="{name}"' in sprite


def test_a_failing_command_is_told_with_its_last_lines(scripts: dict[str, ModuleType]) -> None:
    steps = scripts["steps"]
    with pytest.raises(steps.StepFailed, match=r"(?s)ended with 3.*no such index.*Set the mirror"):
        steps.run([sys.executable, "-c", "print('no such index'); raise SystemExit(3)"], "Set the mirror")


def test_make_lists_its_targets() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("up", "test", "lint", "lock", "clean"):
        assert f"make {target}\t" in shown
