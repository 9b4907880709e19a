"""Publishing modules: a version is parsed, digested and stored whole, and never changes afterwards."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

from django.db import IntegrityError, transaction

from apps.accounts.models import User
from apps.audit.services import audit_record
from apps.catalog.exceptions import ModuleArchiveBroken, ModuleVersionTaken
from apps.catalog.interface import module_digest, module_files, module_parse
from apps.catalog.models import Module, ModuleVersion


def module_register(*, path: Path, actor: User | None) -> ModuleVersion:
    """Register the version that `path` (a module directory) declares and make it the latest one.

    The same content again is a no-op. Raises `ModuleInvalid` (from the parser) or `ModuleVersionTaken` when the version
    exists with other content.
    """
    interface = module_parse(path)
    digest = module_digest(path)
    existing = ModuleVersion.objects.filter(module__slug=interface.slug, version=interface.version).first()
    if existing is not None:
        return _same_or_taken(existing, digest)
    try:
        with transaction.atomic():
            return _version_create(interface, digest, path, actor)
    except IntegrityError:
        winner = ModuleVersion.objects.get(module__slug=interface.slug, version=interface.version)
        return _same_or_taken(winner, digest)


def _same_or_taken(version: ModuleVersion, digest: str) -> ModuleVersion:
    if version.digest != digest:
        raise ModuleVersionTaken(
            f"{version} is already published with other content. Raise `version` in module.yaml and register again."
        )
    return version


def _version_create(interface, digest: str, path: Path, actor: User | None) -> ModuleVersion:  # type: ignore[no-untyped-def]
    module, _ = Module.objects.update_or_create(
        slug=interface.slug,
        defaults={
            "title": interface.title,
            "summary": interface.summary,
            "kind": interface.kind,
            "target": interface.target,
            "icon": interface.icon,
        },
    )
    version = ModuleVersion.objects.create(
        module=module,
        version=interface.version,
        source=f"terraform/modules/{interface.slug}",
        commit=_commit_of(path),
        digest=digest,
        interface=interface.to_json(),
        readme=interface.readme,
        archive=_archive(path),
        published_by=actor,
    )
    module.latest_version = version
    module.save(update_fields=["latest_version"])
    audit_record(
        action="catalog:module-version:published",
        actor=actor,
        target=version,
        after={"module": module.slug, "version": version.version, "digest": digest, "commit": version.commit},
    )
    return version


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
