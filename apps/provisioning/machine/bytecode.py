"""Byte code of a runtime's packages: what another runtime of the machine has compiled is linked, not made again.

Two runtimes share most of their packages, and compiling takes many times as long as installing. A file is the same
where it is one inode, for uv links both to its cache. Nothing is taken that a package brought along: a forged one would
run in the runtimes of others.
"""

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from .files import json_read

CACHE = "__pycache__"
# In a runtime's record: all of its byte code was made here.
COMPILED = "here"
# Handing all files to several processes costs more than compiling these in one; those left out are counted.
FEW = 4000
# Nobody imports the tests of a package, which are a quarter of all that would be compiled.
LEFT_OUT = r"/site-packages/(.*/)?tests?/"


def compile_arguments(packages: Path, *, parallel: bool) -> list[str]:
    """For a Python that compiles what lacks byte code, or has some that does not fit its file."""
    jobs = 0 if parallel and _lacking(packages) > FEW else 1
    quiet = ["-m", "compileall", "-q", "-q", "-j", str(jobs), "--invalidation-mode", "timestamp"]
    return [*quiet, "-x", LEFT_OUT, str(packages)]


def _lacking(packages: Path) -> int:
    """How many files have no byte code, those counted in that are to have none."""
    sources, made = 0, 0
    for path, _folders, files in os.walk(packages):
        if os.path.basename(path) == CACHE:
            made += len(files)
        else:
            sources += sum(name.endswith(".py") for name in files)
    return sources - made


def compiled_here(runtimes: Path, python: str) -> Iterator[Path]:
    """The packages of all whole runtimes of that Python in which no byte code is but ours."""
    for path in runtimes.glob("[0-9a-f]*"):
        record = json_read(path / "slipway.json") or {}
        if record.get("python") == python and record.get("compiled") == COMPILED:
            yield from path.glob("lib/python3.*/site-packages")


def bytecode_strip(packages: Path) -> None:
    """Remove what came with the packages."""
    for path, folders, _files in os.walk(packages):
        if CACHE in folders:
            folders.remove(CACHE)
            shutil.rmtree(os.path.join(path, CACHE))


def bytecode_link(packages: Path, others: Iterable[Path]) -> None:
    """Link the byte code that `others` have, folders of packages compiled here by the same Python. What vanishes
    meanwhile or cannot be linked is left to the compiler."""
    for other in others:
        for here, there in _folders_of_both(packages, other):
            _folder_link(here, there)


def _folders_of_both(here: Path, there: Path) -> Iterator[tuple[str, str]]:
    """Never through a symbolic link, which would lead to where somebody else writes."""
    left = [(str(here), str(there))]
    while left:
        pair = left.pop()
        yield pair
        with os.scandir(pair[0]) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False) and entry.name != CACHE]
        below = [(os.path.join(pair[0], name), os.path.join(pair[1], name)) for name in names]
        left += [each for each in below if _is_folder(each[1])]


def _folder_link(here: str, there: str) -> None:
    made, target = os.path.join(there, CACHE), os.path.join(here, CACHE)
    if not _is_folder(made):
        return
    for name in os.listdir(made):
        source = name.rpartition(".")[0].rpartition(".")[0] + ".py"  # of name.cpython-311.pyc
        try:
            if os.path.samestat(os.lstat(os.path.join(here, source)), os.lstat(os.path.join(there, source))):
                os.makedirs(target, exist_ok=True)
                os.link(os.path.join(made, name), os.path.join(target, name), follow_symlinks=False)
        except OSError:
            continue


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
