"""The first rows of a Parquet file, read by a child process; see `parquet_rows`."""

import json
import os
import subprocess
import sys

from apps.experiments.gateway.artifacts import Entry, Source, credentials_for, file_address
from apps.experiments.previews.tables import CELL, COLUMNS, ROWS, Table

SECONDS = 20
ANSWER_BYTES = 4 * 1024 * 1024
CHILD = os.path.join(os.path.dirname(__file__), "parquet_rows.py")


class ParquetUnreadable(Exception):
    """Why there is no preview, in a sentence for people."""


def parquet_read(source: Source, entry: Entry) -> Table:
    """At most 100 rows and 60 columns. Raises `ParquetUnreadable`."""
    address = file_address(source, entry.path)
    asked = {
        "address": address,
        "headers": credentials_for(address),
        "size": entry.size or 0,
        "rows": ROWS,
        "columns": COLUMNS,
        "cell": CELL,
    }
    try:
        # By stdin, because a command line can be read by everybody on the machine.
        done = subprocess.run(
            [sys.executable, "-I", CHILD],
            input=json.dumps(asked).encode(),
            capture_output=True,
            timeout=SECONDS,
            check=False,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "ARROW_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise ParquetUnreadable(f"Its first rows could not be read in {SECONDS} s.") from None
    try:
        answer = json.loads(done.stdout[:ANSWER_BYTES])
    except ValueError:
        raise ParquetUnreadable("Its first rows cannot be read within the limits of a preview.") from None
    if "error" in answer:
        raise ParquetUnreadable(str(answer["error"]))
    return Table(**answer)
