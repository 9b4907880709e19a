"""docs/reference/performance.md: the table of one run between the marks, words written by hand around it."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from apps.provisioning.engine import engine_select
from bench.figures import Figure, table
from bench.processes import ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"
BEGIN, END = "<!-- written by `make bench`: begin -->", "<!-- written by `make bench`: end -->"


def page_write(figures: list[Figure], failed: list[str]) -> Path:
    """Replace what is between the marks; the rest of the page is for people to write."""
    PAGE.write_text(page_text(PAGE.read_text(encoding="utf-8"), run_lines(figures, failed)), encoding="utf-8")
    return PAGE


def page_text(before: str, lines: list[str]) -> str:
    head, mark, rest = before.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (mark and end):
        raise ValueError(f"the page has lost one of its marks: {BEGIN} and {END}")
    return "\n".join([f"{head}{BEGIN}", "", *lines, "", f"{END}{tail}"])


def run_lines(figures: list[Figure], failed: list[str]) -> list[str]:
    missed = [figure.what for figure in figures if figure.holds is False]
    targets = [figure for figure in figures if figure.holds is not None]
    lines = [f"Measured on {datetime.now(UTC):%d %B %Y} in one run on {machine()}.", ""]
    lines += [f"With {versions()}.", "", *table(figures), ""]
    lines += [f"{len(targets) - len(missed)} of {len(targets)} targets hold."]
    lines += [f"Could not be measured: {', '.join(failed)}."] if failed else []
    return lines


def machine() -> str:
    """Processor, cores, memory, kernel; nothing that names the machine."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0)
    cores = len(os.sched_getaffinity(0))
    processor = names[0] if names else platform.machine()
    kernel = platform.release().split("-")[0]
    return f"{cores} cores of {processor}, {memory / 2**20:.0f} GB of memory, Linux {kernel}"


def versions() -> str:
    found = [f"Python {platform.python_version()}", engine_select(os.environ).label]
    for name in ("Django", "mlflow"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return ", ".join([*found, f"commit {commit.strip() or 'unknown'}"])


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
