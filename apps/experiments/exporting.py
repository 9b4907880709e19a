"""Runs as a file, written while it is sent: no more than one chunk of runs is held, however many there are."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from apps.experiments.selectors.columns import ColumnKey, column_read, keys_of, values_of_columns
from apps.experiments.selectors.listed import ListedRun
from apps.experiments.selectors.runs import RunQuery

MOST_KEYS = 300
OWN = (
    *("name", "status", "experiment", "started_at", "ended_at", "duration", "user", "note", "commit", "source"),
    *("datasets", "core_seconds", "memory_byte_seconds", "gpu_seconds"),
)
NUMBERS = frozenset({"duration", "core_seconds", "memory_byte_seconds", "gpu_seconds"})
MOMENTS = frozenset({"started_at", "ended_at"})
# What a spreadsheet would take for a formula is written as a text.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def columns_exported(query: RunQuery, asked: Sequence[str]) -> list[ColumnKey]:
    """Those named, else everything: what is a run's own, then up to 300 metrics, parameters and tags each."""
    named = [column for column in map(column_read, asked) if column is not None]
    if named:
        first = [] if any(column.key == "name" and not column.kind for column in named) else [ColumnKey("", "name")]
        return first + named
    found = [ColumnKey("", key) for key in OWN]
    for kind in ("metrics", "params", "tags"):
        found += [ColumnKey(kind, key) for key in keys_of(kind, query.experiment_ids, limit=MOST_KEYS)]
    return found


def csv_stream(query: RunQuery, columns: Sequence[ColumnKey]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["run_id", *(_guarded(str(column)) for column in columns)])
    for chunk in query.chunks():
        values = values_of_columns(chunk, columns)
        for run in chunk:
            row = values[run.pk]
            writer.writerow([run.run_id, *(_csv_cell(row, str(column)) for column in columns)])
        yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def _csv_cell(row: dict[str, Any], key: str) -> Any:
    """A metric that is NaN says so; what a run has not is empty."""
    value = row.get(key)
    if value is None:
        return "NaN" if key in row and key.startswith("metrics.") else ""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    return _guarded(value) if isinstance(value, str) else value


def _guarded(text: str) -> str:
    if not text.startswith(FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return f"'{text}"
    return text


def parquet_stream(query: RunQuery, columns: Sequence[ColumnKey]) -> Iterator[bytes]:
    """One row group for each chunk."""
    import pyarrow as pa  # type: ignore[import-untyped]
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    schema = pa.schema([pa.field("run_id", pa.string()), *(pa.field(str(one), _type(pa, one)) for one in columns)])
    sink = _Sink()
    with pq.ParquetWriter(sink, schema, compression="zstd") as writer:
        for chunk in query.chunks():
            writer.write_table(_table(pa, schema, chunk, columns))
            yield sink.taken()
    yield sink.taken()


def _type(pa: Any, column: ColumnKey) -> Any:
    if column.kind == "metrics" or str(column) in NUMBERS:
        return pa.float64()
    return pa.timestamp("ms", tz="UTC") if str(column) in MOMENTS else pa.string()


def _table(pa: Any, schema: Any, chunk: Sequence[ListedRun], columns: Sequence[ColumnKey]) -> Any:
    values = values_of_columns(chunk, columns)
    arrays = [pa.array([run.run_id for run in chunk], pa.string())]
    for column in columns:
        key, kind = str(column), _type(pa, column)
        arrays.append(pa.array([_parquet_cell(values[run.pk], key) for run in chunk], kind))
    return pa.Table.from_arrays(arrays, schema=schema)


def _parquet_cell(row: dict[str, Any], key: str) -> Any:
    value = row.get(key)
    if value is None and key in row and key.startswith("metrics."):
        return float("nan")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


class _Sink(io.RawIOBase):
    """Takes what the writer writes until it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._written += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._written

    def taken(self) -> bytes:
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
