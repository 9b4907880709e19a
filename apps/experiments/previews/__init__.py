"""What a page shows of an artifact without downloading it: by its kind, and never more than a bounded part of it."""

import json
from dataclasses import dataclass, field

from django.utils.safestring import SafeString

from apps.core.templatetags.portal_ui import bytes_size
from apps.experiments.gateway.artifacts import Entry, Source, file_read
from apps.experiments.markdown import markdown_html
from apps.experiments.previews.notebooks import Cell, NotebookUnreadable, notebook_cells
from apps.experiments.previews.parquet import ParquetUnreadable, parquet_read
from apps.experiments.previews.tables import Table, csv_table

MB = 1024 * 1024
TEXT_BYTES = 256 * 1024
JSON_BYTES = MB
JSON_SHOWN = 500_000
NOTEBOOK_BYTES = 10 * MB
PAGE_BYTES = 20 * MB
IMAGE_BYTES = 50 * MB
# Only what browsers decode without running anything. SVG may hold scripts, so it goes the way of pages.
IMAGES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
PAGES = {"html": "text/html; charset=utf-8", "htm": "text/html; charset=utf-8", "svg": "image/svg+xml"}
TABLES = ("csv", "tsv")
JSONS = ("json", "geojson")


@dataclass(frozen=True)
class Preview:
    """`kind` decides how it is shown: image, page, table, text, markdown, notebook, or none with `why`."""

    kind: str
    text: str = ""
    html: SafeString = field(default_factory=SafeString)
    table: Table | None = None
    cells: list[Cell] = field(default_factory=list)
    note: str = ""  # what of it is shown, where that is not all
    why: str = ""


def extension_of(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path.rpartition("/")[2] else ""


def preview_make(source: Source, entry: Entry) -> Preview:
    """What cannot be read as what its name says is shown as text, or said. Raises `TrackerAway`, `TrackerRefused`."""
    kind, size = extension_of(entry.path), entry.size or 0
    if kind in IMAGES:
        return Preview("image") if size <= IMAGE_BYTES else _too_large("A picture", IMAGE_BYTES)
    if kind in PAGES:
        return Preview("page") if size <= PAGE_BYTES else _too_large("A page", PAGE_BYTES)
    if kind == "parquet":
        return _parquet(source, entry)
    if kind == "ipynb":
        return _notebook(source, entry)
    raw = file_read(source, entry.path, most=JSON_BYTES if kind in (*JSONS, *TABLES) else TEXT_BYTES)
    text = text_of(raw, cut=len(raw) < size)
    if text is None:
        return Preview("none", why="This kind of file cannot be shown here.")
    note = f"The first {bytes_size(len(raw))} of {bytes_size(size)}" if len(raw) < size else ""
    if kind in TABLES:
        return Preview("table", table=csv_table(text, tabs=kind == "tsv", cut=bool(note)))
    if kind in JSONS and not note:
        return Preview("text", text=json_pretty(text))
    if kind in ("md", "markdown"):
        return Preview("markdown", html=markdown_html(text), note=note)
    return Preview("text", text=text, note=note)


def text_of(raw: bytes, *, cut: bool) -> str | None:
    """The bytes as text; None for what is none. A cut may go through the middle of a letter."""
    if b"\x00" in raw:
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if cut and error.start >= len(raw) - 4:
            return raw[: error.start].decode("utf-8-sig")
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in raw)
    return raw.decode("latin-1") if printable > 0.9 * len(raw) else None


def json_pretty(text: str) -> str:
    """Indented, in the file's own order; as it is where it is no JSON, or would become too long."""
    try:
        pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text[:JSON_SHOWN]
    return pretty if len(pretty) <= JSON_SHOWN else text[:JSON_SHOWN]


def _parquet(source: Source, entry: Entry) -> Preview:
    try:
        return Preview("table", table=parquet_read(source, entry))
    except ParquetUnreadable as error:
        return Preview("none", why=str(error))


def _notebook(source: Source, entry: Entry) -> Preview:
    if (entry.size or 0) > NOTEBOOK_BYTES:
        return _too_large("A notebook", NOTEBOOK_BYTES)
    try:
        cells, note = notebook_cells(file_read(source, entry.path, most=NOTEBOOK_BYTES))
    except NotebookUnreadable as error:
        return Preview("none", why=str(error))
    return Preview("notebook", cells=cells, note=note)


def _too_large(what: str, most: int) -> Preview:
    return Preview("none", why=f"{what} of more than {bytes_size(most)} is not shown here.")


__all__ = ["IMAGES", "PAGES", "Preview", "extension_of", "preview_make"]
