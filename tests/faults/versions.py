"""Further versions of the quick server module: a copy of its files, edited."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from apps.catalog.models import ModuleVersion
from apps.catalog.services import module_register
from tests.faults.one_agent import QUICK


def quick_version(folder: Path, number: str, edit: Callable[[Path], None] = lambda path: None) -> ModuleVersion:
    """Registers and publishes version `number`; `edit` gets the folder with the module's files."""
    path = folder / number / "quick"
    shutil.copytree(QUICK, path)
    replace(path / "module.yaml", "version: 1.0.0", f"version: {number}")
    edit(path)
    version = module_register(path=path, actor=None)
    assert version.version == number
    return version


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text), (path, old)
    path.write_text(re.sub(old, new, text))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)
