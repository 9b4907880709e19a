"""Which runtimes a version of a Python environment becomes on a machine: one for each module that takes it.

A module that keeps its locked requirements in `runtime/requirements.lock`, and what it lays over them in
`runtime/plugin/`, has its runtimes described here just as its `slipway_runtime` will ask for them: the same text and
files have the same digest.
"""

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from uuid import UUID

from apps.catalog.interface import ModuleInterface
from apps.catalog.models import Module, ModuleVersion
from apps.catalog.services import module_archive_extract
from apps.provisioning.machine.runtimes import RuntimeSpec
from apps.runtimes.choosing import is_taken_by
from apps.runtimes.models import RuntimeVersion

REQUIREMENTS = Path("runtime", "requirements.lock")
LAID_OVER = Path("runtime", "plugin")


@dataclass(frozen=True)
class ModuleRuntime:
    """What a module version says of its Python: its own lock (None without one), and the files it lays over any."""

    lock: str | None
    files: Mapping[str, str]


@lru_cache(maxsize=32)
def module_runtime(version_id: UUID) -> ModuleRuntime:
    """Read from the version's files, which never change."""
    version = ModuleVersion.objects.select_related("module").get(pk=version_id)
    with tempfile.TemporaryDirectory(prefix="slipway-module-") as folder:
        root = Path(folder)
        module_archive_extract(version, root)
        laid_over = root / LAID_OVER
        files = {
            path.relative_to(laid_over).as_posix(): path.read_text(encoding="utf-8")
            for path in sorted(laid_over.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }
        lock = root / REQUIREMENTS
        return ModuleRuntime(lock.read_text(encoding="utf-8") if lock.is_file() else None, files)


def newest_local() -> list[UUID]:
    """The latest version of each module that runs on machines."""
    rows = Module.objects.filter(target="local").exclude(latest_version=None).order_by("slug")
    return list(rows.values_list("latest_version_id", flat=True))


def runtime_of(version: ModuleVersion) -> RuntimeSpec | None:
    """The module's own runtime; None for a module that keeps none where it is looked for."""
    own = module_runtime(version.pk)
    return None if own.lock is None else RuntimeSpec(own.lock, files=own.files)


def specs_of(version: RuntimeVersion) -> Iterator[tuple[RuntimeSpec, str]]:
    """What the version is built as, and for which module; as it is where no module takes it."""
    taken = False
    for key in newest_local():
        module = ModuleVersion.objects.select_related("module").only("interface", "module__title").get(pk=key)
        if is_taken_by(_interface(key, module), version):
            taken = True
            yield spec_for(version, key), f"the packages for {module.module.title}"
    if not taken:
        yield RuntimeSpec(version.lock, python=version.runtime.python), "the packages"


def spec_for(version: RuntimeVersion, module_version_id: UUID) -> RuntimeSpec:
    files = module_runtime(module_version_id).files
    return RuntimeSpec(version.lock, python=version.runtime.python, files=files)


_interfaces: dict[UUID, ModuleInterface] = {}


def _interface(key: UUID, version: ModuleVersion) -> ModuleInterface:
    if key not in _interfaces:
        if len(_interfaces) > 200:
            _interfaces.clear()
        _interfaces[key] = version.parsed()
    return _interfaces[key]
