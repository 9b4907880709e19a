"""Registering modules: a version is parsed, digested and stored whole, and its files never change afterwards."""

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

import yaml
from django.conf import settings
from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.catalog.archives import archive_unpack
from apps.catalog.changelog import changelog_part
from apps.catalog.exceptions import ModuleArchiveBroken, ModuleVersionTaken, SourceInvalid
from apps.catalog.interface import ModuleInterface, module_digest, module_files, module_parse
from apps.catalog.models import Module, ModuleSource, ModuleVersion
from apps.catalog.permissions import CatalogPermission, require
from apps.catalog.services.checks import checks_queue
from apps.catalog.services.life import latest_choose
from apps.catalog.services.sources import manifest_clean, slug_clean, source_for, subfolder_clean

MODULES = Path(settings.BASE_DIR, "terraform", "modules")
CHANGELOG_BYTES = 1024 * 1024
S = ModuleVersion.Status


def module_register(*, path: Path, actor: User | None) -> ModuleVersion:
    """Register the version that `path` (a module directory) declares and publish it, as modules that come with Slipway.

    The same content again is a no-op. Raises `ModuleInvalid` (from the parser) or `ModuleVersionTaken` when the version
    exists with other content.
    """
    interface = module_parse(path)
    source = f"terraform/modules/{interface.slug}"
    return _version_store(interface, module_digest(path), path, actor, source=source, commit=_commit_of(path))[0]


def module_version_register(
    *,
    path: Path,
    slug: str,
    actor: User | None,
    origin: ModuleSource,
    source: str,
    commit: str = "",
    version: str = "",
) -> tuple[ModuleVersion, bool]:
    """Register what `path` holds as a draft, and queue its checks; answers (version, whether it is new).

    `version` replaces the one of the source's manifest, where the module has no module.yaml of its own.
    """
    manifest = manifest_text(origin, version)
    used = manifest if not (path / "module.yaml").exists() else ""
    interface = module_parse(path, slug=slug, manifest_text=manifest)
    digest = module_digest(path)
    if used:
        digest = hashlib.sha256(f"{digest}\n{used}".encode()).hexdigest()
    return _version_store(interface, digest, path, actor, source=source, commit=commit, origin=origin)


def module_register_repository(*, slug: str, actor: User) -> tuple[ModuleVersion, bool]:
    """Register `terraform/modules/<slug>` of this installation as a draft."""
    require(actor, CatalogPermission.REGISTER)
    slug = slug_clean(slug)
    path = MODULES / slug
    if not path.is_dir():
        known = ", ".join(sorted(item.name for item in MODULES.glob("*/")))[:300]
        raise SourceInvalid(errors={"slug": [f"There is no folder terraform/modules/{slug}. Known: {known}."]})
    origin = source_for(kind=ModuleSource.Kind.REPOSITORY, slug=slug, actor=actor)
    return module_version_register(
        path=path, slug=slug, actor=actor, origin=origin, source=f"terraform/modules/{slug}", commit=_commit_of(path)
    )


def module_register_upload(
    *,
    slug: str,
    archive: IO[bytes],
    name: str,
    actor: User,
    subfolder: str = "",
    manifest: dict[str, Any] | None = None,
) -> tuple[ModuleVersion, bool]:
    """Register a tar.gz or zip as a draft. Raises `ArchiveRefused`, `ModuleInvalid`, `ModuleVersionTaken`."""
    require(actor, CatalogPermission.REGISTER)
    slug, subfolder, given = slug_clean(slug), subfolder_clean(subfolder), manifest_clean(manifest)
    with tempfile.TemporaryDirectory(prefix="slipway-upload-") as folder:
        root = archive_unpack(archive, Path(folder)) / subfolder
        if not root.is_dir():
            raise SourceInvalid(errors={"subfolder": [f"The archive has no folder “{subfolder}”."]})
        with transaction.atomic():
            origin = source_for(kind=ModuleSource.Kind.UPLOAD, slug=slug, actor=actor, manifest=given)
            shown = "".join(letter for letter in Path(name).name if letter.isprintable())[:200]
            return module_version_register(
                path=root, slug=slug, actor=actor, origin=origin, source=f"Upload {shown}".strip()
            )


def manifest_text(origin: ModuleSource, version: str = "") -> str:
    """What stands in for a module.yaml, as the source's form was filled; empty without one."""
    if not origin.manifest:
        return ""
    given = dict(origin.manifest)
    if version:
        given["version"] = version
    text: str = yaml.safe_dump(given, sort_keys=True, allow_unicode=True)
    return text


def _version_store(
    interface: ModuleInterface,
    digest: str,
    path: Path,
    actor: User | None,
    *,
    source: str,
    commit: str,
    origin: ModuleSource | None = None,
) -> tuple[ModuleVersion, bool]:
    """(the version, whether it was made now). Without an origin it is published at once."""
    existing = ModuleVersion.objects.filter(module__slug=interface.slug, version=interface.version).first()
    if existing is not None:
        return _same_or_taken(existing, digest), False
    try:
        with transaction.atomic():
            return _version_create(interface, digest, path, actor, source, commit, origin), True
    except IntegrityError:
        winner = ModuleVersion.objects.get(module__slug=interface.slug, version=interface.version)
        return _same_or_taken(winner, digest), False


def _same_or_taken(version: ModuleVersion, digest: str) -> ModuleVersion:
    if version.digest != digest:
        raise ModuleVersionTaken(
            f"{version} is already registered with other content. Raise `version` in module.yaml and register again."
        )
    return version


def _version_create(
    interface: ModuleInterface,
    digest: str,
    path: Path,
    actor: User | None,
    source: str,
    commit: str,
    origin: ModuleSource | None,
) -> ModuleVersion:
    described = {name: getattr(interface, name) for name in ("title", "summary", "kind", "target", "icon")}
    module, _ = Module.objects.get_or_create(slug=interface.slug, defaults=described)
    published = origin is None
    version = ModuleVersion.objects.create(
        module=module,
        version=interface.version,
        source=source[:400],
        commit=commit,
        digest=digest,
        interface=_storable(interface.to_json()),
        readme=_text(interface.readme),
        changelog=_changelog(path, interface.version),
        archive=_archive(path),
        registered_by=actor,
        published_by=actor if published else None,
        status=S.PUBLISHED if published else S.DRAFT,
        origin=origin,
    )
    if published:
        latest_choose(module)
    else:
        checks_queue(version)
    audit_record(
        action=f"catalog:module-version:{'published' if published else 'registered'}",
        actor=actor,
        target=version,
        after={
            "module": module.slug,
            "version": version.version,
            "digest": digest,
            "commit": version.commit,
            "source": version.source,
        },
    )
    return version


def _text(text: str) -> str:
    """PostgreSQL's text cannot hold NUL; a README that does is shown without it."""
    return text.replace("\x00", "")


def _storable(data: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps(data)
    loaded: dict[str, Any] = json.loads(text.replace("\\u0000", "")) if "\\u0000" in text else data
    return loaded


def _changelog(path: Path, version: str) -> str:
    file = path / "CHANGELOG.md"
    if not file.is_file() or file.is_symlink() or file.stat().st_size > CHANGELOG_BYTES:
        return ""
    return _text(changelog_part(file.read_text(encoding="utf-8", errors="replace"), version))


def _commit_of(path: Path) -> str:
    """The Git commit the files are at, or nothing outside a repository or with local edits."""
    git = ["git", "-C", str(path)]
    # A repository can name programs that git runs: they get nothing of the portal's environment.
    environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    try:
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "."], capture_output=True, text=True, timeout=10, env=environ
        )
        if dirty.returncode or dirty.stdout.strip():
            return ""
        head = subprocess.run(
            [*git, "log", "-1", "--format=%H", "."], capture_output=True, text=True, timeout=10, env=environ
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return head.stdout.strip()


def _archive(path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for file in module_files(path):
            archive.add(file, arcname=str(file.relative_to(path)), recursive=False)
    return buffer.getvalue()


def module_archive_extract(version: ModuleVersion, target: Path) -> None:
    """Write the files of a version into `target` (made if missing); what is already there is overwritten."""
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(bytes(version.archive)), mode="r:gz") as archive:
        for member in archive:
            path = target / member.name
            content = archive.extractfile(member)
            if content is None or not path.resolve().is_relative_to(target.resolve()):
                raise ModuleArchiveBroken(f"{version} holds {member.name!r}, which is no file of a module.")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.read())
