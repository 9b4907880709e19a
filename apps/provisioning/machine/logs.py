"""Log files of services, read across supervisord's rotation."""

import contextlib
from pathlib import Path

_ROTATED = 2


def log_read(path: Path, offset: str, *, limit: int = 256 * 1024) -> tuple[str, str]:
    """New whole lines after `offset` (an opaque text; "" for the beginning) and the offset after them.

    The offset names the file by inode, so lines written before a rotation are read from the rotated file first. A
    line without an end is given out only when it has grown to `limit`. Where the file was rotated away entirely,
    reading goes on with the oldest that is left.
    """
    files = []
    for candidate in [path.with_name(f"{path.name}.{number}") for number in range(_ROTATED, 0, -1)] + [path]:
        with contextlib.suppress(OSError):
            files.append((candidate.stat().st_ino, candidate))
    inode, _, position_text = offset.partition(":")
    position = int(position_text) if position_text.isdigit() else 0
    start = next((index for index, (number, _file) in enumerate(files) if str(number) == inode), None)
    if start is None:
        start, position = 0, 0
    text, answer = "", offset
    for index, (number, file) in enumerate(files[start:], start):
        begin = position if index == start else 0
        try:
            with file.open("rb") as stream:
                if stream.seek(0, 2) < begin:
                    begin = 0
                stream.seek(begin)
                chunk = stream.read(limit - len(text))
        except OSError:
            continue
        last = index == len(files) - 1
        if last and len(chunk) < limit - len(text):
            chunk = chunk[: chunk.rfind(b"\n") + 1]
        text += chunk.decode("utf-8", "replace")
        answer = f"{number}:{begin + len(chunk)}"
        if len(text) >= limit:
            break
    return text, answer


def log_last_lines(path: Path, count: int = 30) -> list[str]:
    """The last lines of a log, over-long ones cut; empty when there is none."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - 64 * 1024))
            lines = stream.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [line[:2000] for line in lines[-count:]]
