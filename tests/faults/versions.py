"""Further versions of the quick server module: a copy of its files, edited."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.catalog.models import ModuleVersion

QUICK = Path(__file__).parent / "modules" / "quick"


Edit = Callable[[Path], None]


def quick_copy(folder: Path, number: str, edit: Edit = lambda path: None) -> Path:
    """The module's files as version `number`; `edit` gets their folder."""
    path = folder / number / "quick"
    shutil.copytree(QUICK, path)
    replace(path / "module.yaml", "version: 1.0.0", f"version: {number}")
    edit(path)
    return path


def quick_version(folder: Path, number: str, edit: Edit = lambda path: None) -> "ModuleVersion":
    """Registers and publishes version `number`."""
    from apps.catalog.services import module_register

    version: ModuleVersion = module_register(path=quick_copy(folder, number, edit), actor=None)
    assert version.version == number
    return version


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text), (path, old)
    path.write_text(re.sub(old, new, text))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def drops_message(path: Path) -> None:
    """The input `message` is gone; `greeting` is asked for in its place."""
    replace(path / "variables.tf", r'variable "message" \{[^}]*\}', "")
    replace(path / "main.tf", r"MESSAGE  = var.message", "MESSAGE  = var.greeting")
    append(path / "variables.tf", '\nvariable "greeting" {\n  description = "Said first."\n  type = string\n}\n')


def renames_volume(path: Path) -> None:
    """People's files would be deleted and an empty volume made beside."""
    replace(path / "main.tf", r"slipway_volume\.home", "slipway_volume.files")
    replace(path / "main.tf", r'"slipway_volume" "home"', '"slipway_volume" "files"')
    replace(path / "main.tf", r'name  = "home"', 'name  = "files"')
    replace(path / "module.yaml", r"slipway_volume\.home: Your files", "slipway_volume.files: Your documents")


def moves_everything(path: Path) -> None:
    drops_message(path)
    renames_volume(path)
