"""Reads the first rows of a Parquet file in a process of its own: `python -m …parquet_rows`, asked over stdin.

A file of somebody's is decoded by a large native library, and its pages may unfold to any size: both happen here,
within limits of memory and time, and never in the portal. The file is read by ranges, where the rows asked for are.

stdin: {"address", "headers", "size", "rows", "columns", "cell"}; stdout: {"columns", "types", "rows", "rows_total",
"columns_total"} or {"error"}.
"""

import io
import json
import resource
import sys
import urllib.request
from typing import Any

MEMORY_BYTES = 1024**3
CPU_SECONDS = 10
READ_MOST = 64 * 1024 * 1024
AHEAD = 256 * 1024


class TooMuch(Exception):
    """More of the file would have to be read than a preview is worth."""


class RangeFile(io.RawIOBase):
    """A file behind HTTP ranges. Reads a little ahead, counts what it fetched and stops at `READ_MOST`."""

    def __init__(self, address: str, headers: dict[str, str], size: int) -> None:
        self._address, self._headers, self._size = address, headers, size
        self._place, self._fetched = 0, 0
        self._kept, self._kept_from = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def size(self) -> int:
        return self._size

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._size, self._place + size)
        if end <= self._place:
            return b""
        if not (self._kept_from <= self._place and end <= self._kept_from + len(self._kept)):
            self._fetch(self._place, end)
        begin = self._place - self._kept_from
        data = self._kept[begin : begin + end - self._place]
        self._place += len(data)
        return data

    def _fetch(self, begin: int, end: int) -> None:
        end = min(self._size, max(end, begin + AHEAD))
        self._fetched += end - begin
        if self._fetched > READ_MOST:
            raise TooMuch
        asked = urllib.request.Request(  # noqa: S310  the portal's own MLflow server
            self._address, headers={**self._headers, "Range": f"bytes={begin}-{end - 1}"}
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310  # nosec
            if answer.status != 206:
                if begin:
                    raise TooMuch
                self._kept = answer.read(end)
            else:
                self._kept = answer.read(end - begin)
        self._kept_from = begin


def rows_read(asked: dict[str, Any]) -> dict[str, Any]:
    import pyarrow as arrow  # type: ignore[import-untyped]
    from pyarrow import parquet  # type: ignore[import-untyped]

    arrow.set_cpu_count(1)
    arrow.set_io_thread_count(1)
    file = arrow.PythonFile(RangeFile(asked["address"], asked["headers"], asked["size"]), mode="r")
    opened = parquet.ParquetFile(file, pre_buffer=False, buffer_size=1024 * 1024)
    schema = opened.schema_arrow
    places = range(min(len(schema.names), asked["columns"]))
    names = [schema.names[place] for place in places]
    rows: list[list[str]] = []
    if opened.metadata.num_rows and names:
        # Threads would share the one file and its place.
        batches = opened.iter_batches(batch_size=asked["rows"], row_groups=[0], columns=names, use_threads=False)
        first = next(batches)
        columns = [[_word(value, asked["cell"]) for value in column.to_pylist()] for column in first.columns]
        rows = [list(row) for row in zip(*columns, strict=True)]
    return {
        "columns": [name[:200] for name in names],
        "types": [str(schema.field(place).type)[:60] for place in places],
        "rows": rows,
        "rows_total": opened.metadata.num_rows,
        "columns_total": len(schema.names),
    }


def _word(value: Any, most: int) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return str(value)[:most]


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asked = json.load(sys.stdin)
    try:
        answer = rows_read(asked)
    except TooMuch:
        answer = {"error": "Its first rows cannot be read without reading most of the file."}
    except MemoryError:
        answer = {"error": "Its first rows take more memory than a preview may."}
    except Exception as error:  # whatever the library says of a broken file
        said = (str(error).splitlines() or [type(error).__name__])[0]
        answer = {"error": f"It cannot be read as Parquet: {said[:200]}"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
