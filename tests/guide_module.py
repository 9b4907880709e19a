"""The module of docs/guide/write-a-module.md, taken from the guide's text: what people are told to write is tried."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "guide" / "write-a-module.md"
# A sentence that names a file, and the block of code after it.
STEP = re.compile(
    r"`(notes/[^`]+)`(?P<between>[^`]*(?:`(?!``)[^`]*`[^`]*)*?)```\w+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


def write_first(folder: Path) -> None:
    """Version 1.0.0, as chapter 1 says."""
    for path, text, _adds in _steps("## 1.", "## 2."):
        _write(folder / path, text)


def version_raise(folder: Path, version: str) -> None:
    """Another `version` in module.yaml."""
    manifest = folder / "notes" / "module.yaml"
    manifest.write_text(re.sub(r"^version: .*$", f"version: {version}", manifest.read_text(), flags=re.MULTILINE))


def write_second(folder: Path) -> None:
    """Version 1.1.0, as chapter 3 says."""
    for path, text, adds in _steps("## 3.", "## 4."):
        _write(folder / path, (folder / path).read_text() + "\n" + text if adds else text)
    version_raise(folder, "1.1.0")


def _steps(begin: str, end: str) -> list[tuple[str, str, bool]]:
    chapter = GUIDE.read_text().partition(begin)[2].partition(end)[0]
    return [(match[1], match["text"], match["between"].strip().startswith("add")) for match in STEP.finditer(chapter)]


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
