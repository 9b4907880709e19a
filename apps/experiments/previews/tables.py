"""The first rows of a table in text."""

import csv
import io
from dataclasses import dataclass, field

ROWS, COLUMNS, CELL = 100, 60, 200


@dataclass(frozen=True)
class Table:
    """`rows_total` and `columns_total` are None where only a part of the file was read."""

    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    rows_total: int | None = None
    columns_total: int | None = None
    types: list[str] = field(default_factory=list)


def csv_table(text: str, *, tabs: bool = False, cut: bool = False) -> Table:
    """The first line is taken for the names. `cut`: the text ends somewhere in a row, which is left out."""
    lines = text.splitlines()
    delimiter = "\t" if tabs else _delimiter(lines[0] if lines else "")
    rows, total, width = [], 0, 0
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for row in reader:
            total += 1
            if total <= ROWS + 1:
                width = max(width, len(row))
                rows.append([cell[:CELL] for cell in row[:COLUMNS]])
    except csv.Error:  # a field of more than 128 kB, or a lonely quote: what was read until there is shown
        cut = True
    if cut and total <= ROWS + 1 and len(rows) > 1:
        rows.pop()
    if not rows:
        return Table([], rows_total=0, columns_total=0)
    head, *body = rows
    shown = min(COLUMNS, width)
    names = [*head, *(f"column {number}" for number in range(len(head) + 1, shown + 1))]
    body = [[*row, *[""] * (shown - len(row))] for row in body]
    return Table(names[:shown], body, None if cut else total - 1, width)


def _delimiter(line: str) -> str:
    return max(",;\t|", key=lambda letter: (line.count(letter), letter == ","))
