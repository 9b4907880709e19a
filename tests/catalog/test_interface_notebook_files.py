"""What the notebook module ships beside Terraform: the welcome notebook, the package lock, start-up code."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "terraform" / "modules" / "local-notebook"


def test_the_welcome_notebook_is_a_notebook_without_outputs() -> None:
    notebook = json.loads((NOTEBOOK / "files" / "welcome.ipynb").read_text())
    assert (notebook["nbformat"], notebook["nbformat_minor"] >= 5) == (4, True)
    identifiers = [cell["id"] for cell in notebook["cells"]]
    assert len(set(identifiers)) == len(identifiers)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
            ast.parse("".join(cell["source"]))


def test_the_lock_is_complete_and_names_no_index() -> None:
    lock = (NOTEBOOK / "runtime" / "requirements.lock").read_text()
    entries = re.findall(r"^([a-z0-9-]+)==\S+", lock, re.MULTILINE)
    assert {"jupyterlab", "ipykernel", "mlflow-skinny", "scikit-learn", "pandas", "matplotlib", "pip"} <= set(entries)
    assert lock.count(" \\\n    --hash=sha256:") >= len(entries)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:", lock)


def test_the_lock_leaves_out_what_slows_the_start() -> None:
    # See runtime/overrides.txt: 0.9 s at every start, for a check nobody asks for.
    assert "rfc3987-syntax==" not in (NOTEBOOK / "runtime" / "requirements.lock").read_text()


@pytest.mark.parametrize("flag", ["transport_encryption=auto", "port_retries=0", "NeverCheckForUpdate", "readonly"])
def test_jupyterlab_is_started_with_care(flag: str) -> None:
    assert flag in (NOTEBOOK / "main.tf").read_text()


def test_packages_from_a_notebook_become_importable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_PREFIX", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    names: dict[str, object] = {}
    exec(compile((NOTEBOOK / "files" / "packages_startup.py").read_text(), "startup", "exec"), names)
    assert sys.path[-1].startswith(str(tmp_path))
    # Nothing is left in the person's namespace.
    assert [name for name in names if not name.startswith("__")] == []
