from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def people(db: None) -> Any:
    from tests.factories import people_make

    return people_make()


@pytest.fixture
def draft(people: Any, tmp_path: Path) -> Callable[..., Any]:
    """A draft of a small module whose checks have ended as told."""
    from apps.catalog.models import ModuleSource
    from apps.catalog.services import module_version_register
    from tests.catalog.modules import module_write, variable

    def make(number: str = "1.0.0", *variables: str, checks: str | None = "passed", slug: str = "sample") -> Any:
        path = module_write(
            tmp_path / f"{slug}-{number}", "\n".join(variables) or variable("size", "number", "default = 1")
        )
        manifest = path / "module.yaml"
        manifest.write_text(manifest.read_text().replace("1.0.0", number))
        origin, _ = ModuleSource.objects.get_or_create(kind="upload", slug=slug)
        version, _ = module_version_register(path=path, slug=slug, actor=people.pete, origin=origin, source="Upload")
        if checks:
            version.checks.update(status=checks, summary="As told")
        return version

    return make


@pytest.fixture
def published(draft: Callable[..., Any], people: Any) -> Callable[..., Any]:
    from apps.catalog.services import module_version_publish

    def make(number: str = "1.0.0", *variables: str, **how: Any) -> Any:
        return module_version_publish(version=draft(number, *variables, **how), actor=people.pete)

    return make
