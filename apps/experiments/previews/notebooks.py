"""A notebook file as cells that a page can show: text escaped, pictures as data, HTML only in a frame of its own.

Source of the format: nbformat 4, https://nbformat.readthedocs.io/en/latest/format_description.html
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

from django.utils.safestring import SafeString

from apps.experiments.markdown import markdown_html

CELLS, OUTPUTS, FRAMES = 300, 30, 40
SOURCE_CHARACTERS, OUTPUT_CHARACTERS = 50_000, 20_000
PICTURE_BYTES = 4 * 1024 * 1024
PICTURES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8", "image/gif": b"GIF8"}
# What a frame shows, best first.
PAGES = ("text/html", "image/svg+xml")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class NotebookUnreadable(Exception):
    """Why there is no preview, in a sentence for people."""


@dataclass(frozen=True)
class Output:
    """`kind` is text, error, image (text is a data address) or frame (shown from `cell` and `place`)."""

    kind: str
    text: str = ""
    cell: int = 0
    place: int = 0


@dataclass(frozen=True)
class Cell:
    kind: str  # markdown, code or raw
    source: str = ""
    html: SafeString = field(default_factory=SafeString)
    count: str = ""
    outputs: list[Output] = field(default_factory=list)


def notebook_cells(raw: bytes) -> tuple[list[Cell], str]:
    """The cells, and what was left out of them. Raises `NotebookUnreadable`."""
    cells = _cells(raw)
    frames = [FRAMES]
    shown = [_cell(cell, number, frames) for number, cell in enumerate(cells[:CELLS])]
    shown = [cell for cell in shown if cell.source or cell.html or cell.outputs]
    note = f"The first {CELLS} of {len(cells)} cells" if len(cells) > CELLS else ""
    return shown, note


def notebook_page(raw: bytes, cell: int, place: int) -> tuple[str, str] | None:
    """Type and text of an output that is a page or a drawing; None where there is none there."""
    try:
        cells = _cells(raw)
        output = (cells[cell].get("outputs") or [])[place]
    except (NotebookUnreadable, IndexError, AttributeError, TypeError):
        return None
    data = output.get("data") if isinstance(output, dict) else None
    kind = next((kind for kind in PAGES if kind in data), None) if isinstance(data, dict) else None
    return (kind, _text(data[kind])) if kind and isinstance(data, dict) else None


def _cells(raw: bytes) -> list[dict[str, Any]]:
    try:
        notebook = json.loads(raw)
    except (ValueError, RecursionError):
        raise NotebookUnreadable("It cannot be read as a notebook: it is no JSON.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise NotebookUnreadable("It cannot be read as a notebook: it has no cells (nbformat 4 has).")
    return [cell if isinstance(cell, dict) else {} for cell in cells]


def _cell(cell: dict[str, Any], number: int, frames: list[int]) -> Cell:
    source = _text(cell.get("source"))[:SOURCE_CHARACTERS]
    kind = cell.get("cell_type")
    if kind == "markdown":
        return Cell("markdown", html=markdown_html(source))
    if kind != "code":
        return Cell("raw", source=source)
    outputs = cell.get("outputs")
    given = outputs if isinstance(outputs, list) else []
    shown = [_output(output, number, place, frames) for place, output in enumerate(given[:OUTPUTS])]
    count = cell.get("execution_count")
    return Cell(
        "code",
        source=source,
        count=str(count) if isinstance(count, int) else " ",
        outputs=[output for output in shown if output is not None],
    )


def _output(output: Any, cell: int, place: int, frames: list[int]) -> Output | None:
    if not isinstance(output, dict):
        return None
    if output.get("output_type") == "stream":
        return Output("text", _plain(output.get("text")))
    if output.get("output_type") == "error":
        lines = output.get("traceback")
        told = "\n".join(map(str, lines)) if isinstance(lines, list) else ""
        return Output("error", _plain(told or f"{output.get('ename')}: {output.get('evalue')}"))
    data = output.get("data")
    if not isinstance(data, dict):
        return None
    for kind, begin in PICTURES.items():
        if kind in data and (picture := _picture(kind, _text(data[kind]), begin)):
            return Output("image", picture)
    if any(kind in data for kind in PAGES) and frames[0] > 0:
        frames[0] -= 1
        return Output("frame", _plain(data.get("text/plain")), cell, place)
    return Output("text", _plain(data.get("text/plain"))) if "text/plain" in data else None


def _picture(kind: str, text: str, begin: bytes) -> str:
    """A data address; "" for what does not begin as such a picture does."""
    if len(text) > PICTURE_BYTES * 4 // 3:
        return ""
    try:
        raw = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return ""
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}" if raw.startswith(begin) else ""


def _plain(value: Any) -> str:
    return _ESCAPES.sub("", _text(value))[:OUTPUT_CHARACTERS]


def _text(value: Any) -> str:
    """nbformat writes a text as one, or as a list of its lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""
