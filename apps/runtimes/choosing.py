"""Which Python environments a module takes: it declares `slipway_runtime`, and may say in module.yaml which ones."""

from collections.abc import Collection
from typing import Any, Protocol

from packaging.utils import canonicalize_name

from apps.runtimes.models import RuntimeVersion

VARIABLE = "slipway_runtime"


class TakesRuntimes(Protocol):
    """Of `ModuleInterface`, what matters here."""

    @property
    def reserved(self) -> frozenset[str]: ...
    @property
    def runtimes(self) -> tuple[str, ...]: ...
    @property
    def runtime_packages(self) -> tuple[str, ...]: ...


def takes_any(interface: TakesRuntimes) -> bool:
    return VARIABLE in interface.reserved


def is_accepted(interface: TakesRuntimes, slug: str) -> bool:
    return takes_any(interface) and (not interface.runtimes or slug in interface.runtimes)


def packages_lacking(interface: TakesRuntimes, packages: Collection[dict[str, Any]]) -> list[str]:
    """What the module needs and the version does not hold."""
    held = {package["name"] for package in packages}
    return [name for name in interface.runtime_packages if canonicalize_name(name) not in held]


def is_taken_by(interface: TakesRuntimes, version: RuntimeVersion) -> bool:
    """Whether an environment of the module can run in that version."""
    return is_accepted(interface, version.runtime.slug) and not packages_lacking(interface, version.packages)


def refusal(interface: TakesRuntimes, version: RuntimeVersion) -> str:
    """Why not, in a sentence; nothing where it can."""
    if not takes_any(interface):
        return "This module brings its own Python environment; there is none to choose."
    if not is_accepted(interface, version.runtime.slug):
        return f"This module does not take “{version.runtime.slug}”. It takes: {', '.join(interface.runtimes)}."
    if lacking := packages_lacking(interface, version.packages):
        return f"{version} lacks {', '.join(lacking)}, which this module needs. Add it to the requirements."
    return ""
