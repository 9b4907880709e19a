"""Looking for values in everything a portal leaves behind: bytes, rows, sessions, files."""

import base64
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

SHORTEST = 10


def shapes(value: str) -> list[bytes]:
    """How a value may stand in a text: plain, as JSON, percent-encoded, in hex, in base64 at each of its alignments."""
    plain = value.encode()
    found = [plain, json.dumps(value)[1:-1].encode(), plain.hex().encode()]
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + plain)
        # The characters at both ends mix with what stands before and behind.
        found += [
            whole[4 if shift else 0 : -4],
            base64.urlsafe_b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4],
        ]
    return [shape for shape in dict.fromkeys(found) if len(shape) >= SHORTEST]


class Needles:
    """Named secrets; `in_bytes` says which of them stand in some bytes."""

    def __init__(self, secrets: dict[str, str]) -> None:
        short = [name for name, value in secrets.items() if len(value) < SHORTEST]
        assert not short, f"too short to be looked for: {short}"
        self.secrets = secrets
        self._shapes = {name: shapes(value) for name, value in secrets.items()}

    def in_bytes(self, content: bytes) -> set[str]:
        return {name for name, forms in self._shapes.items() if any(form in content for form in forms)}

    def in_text(self, content: str) -> set[str]:
        return self.in_bytes(content.encode("utf-8", "surrogateescape"))


def files_below(folder: Path) -> Iterator[Path]:
    """Every regular file; links are not followed. Not the packages of runtimes, which are as their index has them."""
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in ("site-packages", "uv-cache", "cache")]
        for path in (Path(root, name) for name in sorted(names)):
            if path.is_file() and not path.is_symlink():
                yield path


def rows_of(url: str) -> Iterator[tuple[str, bytes]]:
    """(table.column, value) of every value of every table of a database; sessions are unpacked as well."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'"
        ).fetchall()
        for schema, table in tables:
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, table)))
            names = [column.name for column in cursor.description or ()]
            for row in cursor:
                for name, value in zip(names, row, strict=True):
                    for content in _contents(f"{table}.{name}", value):
                        yield f"{table}.{name}", content


def _contents(place: str, value: Any) -> Iterable[bytes]:
    if value is None:
        return
    if isinstance(value, bytes | memoryview):
        yield bytes(value)
        return
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    yield text.encode()
    if place == "django_session.session_data":
        yield session_unpacked(text)


def session_unpacked(text: str) -> bytes:
    """What `django.core.signing.dumps` has packed: base64 of JSON, compressed where it begins with a dot."""
    payload = text.lstrip(".").split(":")[0]
    content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    return zlib.decompress(content) if text.startswith(".") else content
