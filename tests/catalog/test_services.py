import io
import tarfile
from pathlib import Path

import pytest

from apps.catalog.exceptions import ModuleArchiveBroken, ModuleVersionTaken
from apps.catalog.models import Module, ModuleVersion
from apps.catalog.services import module_archive_extract, module_register
from tests.catalog.modules import module_write

pytestmark = pytest.mark.django_db


def test_a_version_is_stored_whole_and_comes_back_as_it_was(tmp_path: Path) -> None:
    source = module_write(tmp_path / "sample")
    version = module_register(path=source, actor=None)
    module_archive_extract(version, tmp_path / "out")
    assert (tmp_path / "out" / "variables.tf").read_text() == (source / "variables.tf").read_text()
    assert Module.objects.get().latest_version == version


def test_the_same_content_again_changes_nothing(tmp_path: Path) -> None:
    source = module_write(tmp_path / "sample")
    assert module_register(path=source, actor=None) == module_register(path=source, actor=None)
    assert ModuleVersion.objects.count() == 1


def test_a_published_version_never_changes(tmp_path: Path) -> None:
    source = module_write(tmp_path / "sample")
    module_register(path=source, actor=None)
    (source / "main.tf").write_text("# another\n")
    with pytest.raises(ModuleVersionTaken, match="Raise `version`"):
        module_register(path=source, actor=None)


def test_an_archive_never_writes_outside_its_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("../outside")
        member.size = 1
        archive.addfile(member, io.BytesIO(b"x"))
    version = ModuleVersion(module=Module(slug="m"), version="1.0.0", archive=buffer.getvalue())
    with pytest.raises(ModuleArchiveBroken):
        module_archive_extract(version, tmp_path / "out")
    assert not (tmp_path / "outside").exists()
