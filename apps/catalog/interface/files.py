"""Which files make up a module, and the digest over them."""

import hashlib
import os
from pathlib import Path

from apps.catalog.interface.problems import Findings

# Left by Terraform, Python, Git or an editor in a working copy. They are neither part of the digest nor shipped. The
# dependency lock file is among them on purpose: the agent's plugin mirror decides provider versions, and a `terraform
# init` in the checkout must not change a module.
IGNORED_DIRECTORIES = frozenset({".terraform", ".git", "__pycache__", ".pytest_cache", ".ruff_cache"})
IGNORED_FILES = frozenset({".terraform.lock.hcl", ".terraform.tfstate.lock.info", ".DS_Store", "crash.log"})
IGNORED_SUFFIXES = (".pyc", ".tfstate", ".tfstate.backup", ".swp", "~")

MAX_FILES = 2_000
MAX_TOTAL = 20 * 1024 * 1024


def module_files(path: Path) -> list[Path]:
    """The files that make up a module, sorted by relative path. Raises `ModuleInvalid` for links and for too much."""
    findings = Findings()
    if not path.is_dir():
        findings.add(path.name, "there is no such directory.")
        findings.raise_if_any()
    files: list[Path] = []
    for directory, names, file_names in os.walk(path, followlinks=False):
        here = Path(directory)
        for name in [*names, *file_names]:
            if (here / name).is_symlink() and name not in IGNORED_DIRECTORIES:
                findings.add(str((here / name).relative_to(path)), "is a symbolic link: put the file itself here.")
        names[:] = [name for name in names if name not in IGNORED_DIRECTORIES and not (here / name).is_symlink()]
        for name in file_names:
            file = here / name
            if _ignored(name) or file.is_symlink():
                continue
            if not file.is_file():
                findings.add(str(file.relative_to(path)), "is not an ordinary file: remove it.")
            files.append(file)
    if len(files) > MAX_FILES:
        findings.add(path.name, f"has {len(files)} files; a module has at most {MAX_FILES}.")
    elif sum(file.stat().st_size for file in files) > MAX_TOTAL:
        findings.add(path.name, f"is larger than {MAX_TOTAL // 2**20} MB: keep data and binaries elsewhere.")
    findings.raise_if_any()
    return sorted(files, key=lambda file: file.relative_to(path).as_posix().encode())


def module_digest(path: Path) -> str:
    """SHA-256 over the relative paths and contents of `module_files`, each with its length in front (hex)."""
    digest = hashlib.sha256(b"slipway-module-1\n")
    for file in module_files(path):
        for part in (file.relative_to(path).as_posix().encode(), file.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _ignored(name: str) -> bool:
    return name in IGNORED_FILES or name.endswith(IGNORED_SUFFIXES)
