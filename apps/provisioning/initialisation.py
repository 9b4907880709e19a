"""When `terraform init` can be left out, and what it must not stumble over.

A work directory is used for every change of its environment. Initialising it again costs a fifth of a plan and
changes nothing unless the module's files, the engine, the mirrors or the lock file did.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from apps.provisioning.engine import Engine

LOCK = ".terraform.lock.hcl"
LOCAL_PROVIDER = re.compile(r'^provider "slipway\.local/[^"]*" \{.*?^\}\n*', re.MULTILINE | re.DOTALL)
IGNORED = {".terraform", ".home"}
SUFFIXES = (".tf", ".tf.json", ".tofu", ".tofu.json")


def init_key(engine: Engine, work: Path, configuration: str, mirrors: Mapping[Path, Sequence[str]]) -> str:
    """Digest of everything that decides what init would do, but the lock file."""
    digest = hashlib.sha256(f"{engine.kind} {engine.version}\0{configuration}\0".encode())
    for path in _module_files(work):
        digest.update(f"{path.relative_to(work)}\0".encode() + path.read_bytes() + b"\0")
    for mirror in mirrors:
        # The local provider's launcher changes where Slipway moves; Terraform checks what the lock file says of it.
        for launcher in sorted(mirror.glob("slipway.local/*/*/*/*/terraform-provider-*")):
            digest.update(f"{launcher}\0".encode() + launcher.read_bytes())
    return digest.hexdigest()


def init_needed(work: Path, marker: Path, key: str) -> bool:
    """False only where this directory is known to be ready; `marker` was written after a plan that worked."""
    lock = work / LOCK
    if not (work / ".terraform").is_dir() or not lock.is_file() or lock.is_symlink():
        return True
    try:
        held = json.loads(marker.read_text())
    except (OSError, ValueError):
        return True
    return held != {"key": key, "lock": hashlib.sha256(lock.read_bytes()).hexdigest()}


def lock_prepare(work: Path) -> None:
    """Drop the local provider's checksums: they belong to this installation; an upgrade of Slipway is no tampering."""
    lock = work / LOCK
    if not lock.is_file() or lock.is_symlink():
        return
    text = lock.read_text()
    kept = LOCAL_PROVIDER.sub("", text)
    if kept != text:
        lock.write_text(kept)


def _module_files(work: Path) -> Iterator[Path]:
    for path in sorted(work.rglob("*")):
        ours = IGNORED.isdisjoint(path.relative_to(work).parts) and path.name.endswith(SUFFIXES)
        if ours and path.is_file() and not path.is_symlink():
            yield path
